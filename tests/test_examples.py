"""Every example in a docstring does what it shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import edgenas
from tests.benchmarks._code import Package

TRIES = 3  # of an example that times the machine, while that is too busy
PACKAGE = Package(Path(edgenas.__file__).parent)
SHOWN = [
    pytest.param(name, marks=pytest.mark.alone if name.startswith("edgenas.api.") else ())  # whole searches
    for name, module in PACKAGE.modules.items()
    if ">>> " in module.text
]


@pytest.mark.parametrize("module", SHOWN)
def test_examples(module, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(TRIES):
        failed, tried = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
        printed = capsys.readouterr().out
        if not failed or "NoisyMachine" not in printed:
            break
    assert tried and not failed, printed
