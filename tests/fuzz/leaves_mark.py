"""A module that inputs name, and that nothing may import: it leaves a file where EDGENAS_FUZZ_MARK says."""

from __future__ import annotations

import os
from pathlib import Path

if mark := os.environ.get("EDGENAS_FUZZ_MARK"):
    Path(mark).touch()


def build(*arguments: object, **named: object) -> object:
    return arguments, named
