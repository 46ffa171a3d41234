"""Workflows that only remember how they were called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgenas.latency.table import LatencyTable, OpRow
from edgenas.system.run_folder import write_artefact
from edgenas.workflows.stages.artefacts import Report
from tests.cli.fakes import Fake
from tests.workflows.results import RESULT, front


@pytest.fixture
def fake(monkeypatch) -> Callable[..., Fake]:
    """`fake("kit", "reduced_kit", answer)` replaces a function of a workflow, by default the one of its name."""

    def replaced(workflow: str, function: str = "", answer: Any = None) -> Fake:
        stand_in = Fake(answer)
        monkeypatch.setattr(importlib.import_module(f"edgenas.workflows.{workflow}"), function or workflow, stand_in)
        return stand_in

    return replaced


@pytest.fixture
def found(tmp_path):
    """A result with a front of three, and its folder with a note."""
    folder = tmp_path / "one"
    folder.mkdir()
    write_artefact(folder, "report", Report(("a note of the run",), {"validation": 100, "test": 400}))
    return RESULT.at(folder)


@pytest.fixture
def searching(fake, found) -> Fake:
    """Stands for the search: prints as libraries do, then answers with a result."""

    def answer(*arguments, **keywords):
        print("a library prints this")
        return stand_in.result

    stand_in = fake("search", answer=answer)
    stand_in.result = found.__class__(**{**found.__dict__, "front": front(3)})
    return stand_in


def written(*tables: dict[str, str]) -> Sequence[tuple[Path, LatencyTable]]:
    """Tables of one op each, by header, and the files that they would be in."""
    ops = {"conv": OpRow(1, 1, 1, 1, 1, 1)}
    return [(Path(f"tables/{header['device']}.csv"), LatencyTable(header, ops, ())) for header in tables]
