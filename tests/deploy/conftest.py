"""A bundle to run, as the exporters' tests write it."""

from tests.exporters.conftest import images, int8, metadata, model, small, write

__all__ = ["images", "int8", "metadata", "model", "small", "write"]
