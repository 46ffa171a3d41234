"""What the tests of the command line have, too: workflows that only remember how they were called."""

from tests.cli.conftest import fake, found, searching

__all__ = ["fake", "found", "searching"]
