"""Every example in a docstring does what it shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import edgenas
from tests.benchmarks._code import Package

PACKAGE = Package(Path(edgenas.__file__).parent)
SHOWN = [
    pytest.param(name, marks=pytest.mark.slow if name.startswith("edgenas.api.") else ())  # whole searches
    for name, module in PACKAGE.modules.items()
    if ">>> " in module.text
]


@pytest.mark.parametrize("module", SHOWN)
def test_examples(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert tried and not failed
