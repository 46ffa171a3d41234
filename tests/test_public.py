"""The public API: which names there are, where they come from, and what importing them costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgenas
from edgenas import errors
from tests.cli.fakes import HEAVY

FUNCTIONS = (
    """adapt baseline bench confirm export ingest kit list predict profile ranking search specialize train""".split()
)
OWN_LOOP = """Builder Choice CountCost Data Evaluator LatencyTable Objective Problem SearchSpace Strategy Study Trial
latency_interval read_table run_search""".split()
REST = ["Config", "Result", "__version__", "strategies", "testing"]
ERRORS = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
TREE = ast.parse(Path(edgenas.__file__).read_text(encoding="utf-8"))


def test_public_names_are_exactly_these():
    assert sorted(edgenas.__all__) == sorted([*FUNCTIONS, *OWN_LOOP, *REST, *ERRORS])
    assert list(edgenas.__all__) == sorted(edgenas.__all__)
    assert dir(edgenas) == sorted(edgenas.__all__)


@pytest.mark.parametrize("name", edgenas.__all__)
def test_every_name_is_there_and_keeps_its_own(name):
    value = getattr(edgenas, name)
    assert value is not None
    if callable(value):
        assert value.__name__ == name and value.__doc__


def test_no_other_name_is():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = edgenas.nope


def test_type_checkers_are_told_of_every_name():
    """What is imported late is imported under TYPE_CHECKING from the same place or what re-exports it."""
    (block,) = [node for node in TREE.body if isinstance(node, ast.If)]
    told = {
        alias.asname or alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    told |= {node.target.id for node in block.body if isinstance(node, ast.AnnAssign)}
    assert told == set(edgenas.__all__) - set(ERRORS)


def test_the_package_alone_imports_nothing_heavy():
    script = "import sys, edgenas; edgenas.Config, edgenas.Result, edgenas.search, edgenas.predict; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_a_package_that_is_typed():
    assert (Path(edgenas.__file__).parent / "py.typed").is_file()
