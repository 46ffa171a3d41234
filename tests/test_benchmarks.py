"""Benchmarks are run by command, by hand: here each is at least imported, so that none is left behind by a change."""

import importlib
import pkgutil

import pytest

from tests import benchmarks

NAMES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_is_imported(name):
    importlib.import_module(f"tests.benchmarks.{name}")
