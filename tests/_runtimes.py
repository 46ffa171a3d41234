"""Which runtimes can be used here: the tests of those that cannot are skipped, with the reason."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import pytest

from edgenas.errors import EnvironmentFault
from edgenas.system import plugins


@cache
def _missing(name: str) -> str | None:
    try:
        plugins.load("runtimes", name).version()
    except EnvironmentFault as error:
        return str(error)
    return None


def usable(name: str) -> ModuleType:
    """The runtime plugin; skips the test if what it runs on is not here."""
    reason = _missing(name)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    return plugins.load("runtimes", name)
