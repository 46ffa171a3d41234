"""A small kit, and what its runner measured here; both are only read."""

import json
import subprocess
import sys
import zipfile

import pytest

from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.kit import kit
from edgenas.workflows.kit_content import KitOptions
from tests.conftest import built_once

ROUNDS = 6
OPTIONS = {"shape": (3, 8, 8), "classes": 4, "nets": 5, "tests": 3, "only": {"width": ["4"]}}


def make_kit(path, seed=0, **changes):
    """Write a kit of the toy space; return its manifest."""
    config = make_config({"space": "tests._toys", "seed": seed})
    return kit(config, SilentReporter(), KitOptions(**{**OPTIONS, **changes}), out=path, page=False)


def command(folder, out, *more):
    """The command that measures the kit in a folder."""
    quick = ["--rounds", str(ROUNDS), "--patience", "1"]
    return [sys.executable, str(folder / "run.py"), *quick, "--name", "board", "--out", str(out), *more]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="session")
def kit_folder(tmp_path_factory):
    """A kit, unpacked."""

    def build(folder):
        make_kit(folder / "kit.zip")
        with zipfile.ZipFile(folder / "kit.zip") as archive:
            archive.extractall(folder / "unpacked")

    return built_once(tmp_path_factory, "kit", build) / "unpacked"


@pytest.fixture(scope="session")
def kit_results(kit_folder, tmp_path_factory):
    """What the kit's runner measured in a process of its own."""

    def build(folder):
        folder.mkdir()
        out = folder / "results.jsonl"
        done = subprocess.run(command(kit_folder, out), capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "edgenas ingest results.jsonl" in done.stdout and "100%" in done.stderr

    return built_once(tmp_path_factory, "kit results", build) / "results.jsonl"
