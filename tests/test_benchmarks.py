"""Benchmarks are run by command, by hand: here each is at least imported, so that none is left behind by a change."""

import importlib
import pkgutil

import pytest

from tests import benchmarks


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__)))
def test_a_benchmark_is_imported(name):
    importlib.import_module(f"tests.benchmarks.{name}")
