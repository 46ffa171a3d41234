"""What edaa239 wrote stays good, and what the code computes is what it computed then, bit by bit."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.exporters.bundle import verify_bundle
from edgenas.exporters.session import outputs
from tests.benchmarks import unchanged

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "tests" / "fixtures" / "bundle_by_edaa239"
RUN = ROOT / "tests" / "fixtures" / "run_by_edaa239"

# What the classify.py of edaa239 printed for the golden images of its bundle.
LABELS = "6 2 5 8 2 4 0 4 0 7 7 5 2 2 6 0".split()


def test_a_bundle_of_the_older_version_verifies():
    assert verify_bundle(BUNDLE) == []


def test_a_bundle_of_the_older_version_gives_what_it_gave():
    with np.load(BUNDLE / "golden.npz") as golden:
        found = outputs((BUNDLE / "model.onnx").read_bytes(), golden["input"])
        np.testing.assert_allclose(found, golden["output"], atol=1e-3 * np.abs(golden["output"]).max())


def test_an_app_reads_a_bundle_of_the_older_version():
    command = [sys.executable, "-I", str(ROOT / "deploy" / "classify.py"), str(BUNDLE)]
    found = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.split() == LABELS


@pytest.mark.parametrize("command", ["search --resume --output RUN", "specialize RUN --budget-ms 1", "ranking RUN"])
def test_a_run_folder_of_the_older_version_is_refused_with_its_format(tmp_path, command):
    from edgenas.cli.main import main

    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    said, rc = _said(main, [word.replace("RUN", str(run)) for word in command.split()])
    assert rc == 2
    assert "its format is 1, written by edgenas 0.1.0" in said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_renamed_settings_are_refused_with_their_new_name(tmp_path):
    from edgenas.errors import UsageError
    from edgenas.workflows.config import read_toml

    file = tmp_path / "old.toml"
    file.write_text("budget_ms = 20\nstatics = 2\n")
    with pytest.raises(UsageError, match="'statics' is named 'shape_choices' now"):
        read_toml(file)


def test_the_comparison_sees_what_differs():
    one = {"a": [1, {"b": 0.1}], "seconds": 3}
    assert unchanged.leaves(one) == {"/a/0": 1, "/a/1/b": 0.1}
    found = unchanged.compared("run", "values", unchanged.leaves(one), unchanged.leaves({"a": [1, {"b": 0.2}], "c": 1}))
    assert (found.number, found.different) == (2, ["/a/1/b"])
    assert "NO, 1 differ: /a/1/b" in unchanged.table([found])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_searches_and_kits_equal_those_of_the_older_version(tmp_path):
    known = subprocess.run(["git", "cat-file", "-e", f"{unchanged.BASE}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        pytest.skip(f"{unchanged.BASE} is not in this history: a shallow clone, or no repository")
    found = unchanged.compare(tmp_path)
    assert len(found) > 30
    assert [item for item in found if item.different or not item.number] == []


def _said(main, arguments: list[str]) -> tuple[str, int]:
    """What a command writes to stderr, and its exit code."""
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
        rc = main(arguments)
    return stderr.getvalue(), rc
