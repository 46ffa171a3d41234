"""A trained network for a board, by the commands of the README; this host stands for the board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.cli import main as cli
from edgenas.latency.table import read_table
from tests.cli.fakes import one_line
from tests.conftest import allow_any_noise
from tests.pretrained._networks import lite, stirred

NETWORK = "tests.pretrained._networks:lite"
SIDE, CLASSES, PHOTOS = 64, ("cat", "dog", "owl"), 24
QUICK = "--trials 2 --supernet-epochs 1 --finalists 1 --final-epochs 1 --no-int8 --shape-choices 1 --seed 1"

pytestmark = [pytest.mark.alone, pytest.mark.timeout(900)]


def edgenas(*words: str) -> int:
    return cli.main([*words])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos in class folders, the weights of a network of one's own, and a cache that holds no tables yet."""
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(0)
    for name in CLASSES:
        for split, count in (("train", PHOTOS), ("test", 6)):
            (folder / "photos" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / split / name / f"{i}.png")
    torch.save(stirred(lite()).state_dict(), folder / "mine.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        allow_any_noise(patch)
        yield folder


def network(place: Path) -> list[str]:
    return ["--pretrained", NETWORK, "--weights", str(place / "mine.pt")]


def images(place: Path) -> list[str]:
    return ["--data", str(place / "photos"), "--image-size", str(SIDE)]


@pytest.fixture(scope="module")
def results(place):
    """What the board has measured of a kit of some ops."""
    words = ["--ops", "20", "--nets", "8", "--tests", "2", "--precision", "fp32", "--no-page"]
    assert edgenas("kit", *network(place), *images(place), *words, "-o", str(place / "kit.zip"), "-q") == 0
    with zipfile.ZipFile(place / "kit.zip") as archive:
        archive.extractall(place / "kit")
    run = [sys.executable, "run.py", "--name", "board", "--rounds", "8", "--patience", "1"]
    ran = subprocess.run(run, cwd=place / "kit", capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    if "clean" in ran.stderr.splitlines()[-1]:
        pytest.skip(f"this machine is too busy to measure a kit: {ran.stderr.splitlines()[-1]}")
    assert ran.returncode == 0, ran.stderr
    return place / "kit" / "results-board-1t.jsonl"


@pytest.fixture(scope="module")
def run(place, results):
    """A search for the board, on the table that its results became."""
    assert edgenas("ingest", str(results), *network(place), *images(place), "-q") == 0
    folder = place / "run"
    words = ["--device", "board", "--budget-ms", "1000", *QUICK.split(), "--output", str(folder), "-q"]
    assert edgenas("search", *network(place), *images(place), *words) == 0
    return folder


def test_the_table_holds_the_chosen_ops_and_the_rest_is_estimated(place, run, capsys):
    table = read_table(run / "table.csv")
    assert len(table.ops) == 20 and len(table.nets) == 10 and table.header["test"].startswith("2 networks")
    words = ["--samples", "3", "--device", "board", "--json"]
    assert edgenas("predict", *network(place), *images(place), *words) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(0 < row["estimated_share"] < 1 and row["low_ms"] < row["latency_ms"] < row["high_ms"] for row in rows)


def test_the_run_says_what_network_it_is_of(place, run, tmp_path, capsys):
    assert edgenas("export", str(run), "--out", str(tmp_path / "a.onnx"), "-q") == 0
    said_again = [*network(place), *images(place)]
    assert edgenas("export", str(run), "--out", str(tmp_path / "b.onnx"), *said_again, "-q") == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert edgenas("ranking", str(run), "--networks", "3", "--epochs", "1", *said_again, "-q") == 0
    assert "3 networks" in capsys.readouterr().out


def test_weights_that_have_moved_are_named(place, run, tmp_path, capsys):
    moved = (place / "mine.pt").rename(place / "moved.pt")
    try:
        words = ["--out", str(tmp_path / "a.onnx"), "-q"]
        assert edgenas("export", str(run), "--weights", str(moved), *words) == 0
    finally:
        moved.rename(place / "mine.pt")


def test_another_budget_on_the_run_s_weights_and_on_with_it(place, run, capsys):
    words = ["--trials", "2", "--finalists", "1", "--final-epochs", "1", "--no-int8", "-q"]
    folder = place / "specialised"
    budget = ["--budget-ms", "900", "--device", "board", "--output", str(folder)]
    assert edgenas("specialize", str(run), *budget, *network(place), *images(place), *words) == 0
    first = json.loads((folder / "result.json").read_text())
    assert f'pretrained = "{NETWORK}"' in (folder / "config.toml").read_text()
    (folder / "result.json").unlink()
    with pytest.warns(UserWarning, match=r"result\.json is not as it was written: it is made again"):
        assert edgenas("specialize", "--resume", "--output", str(folder), *network(place), "-q") == 0
    again = json.loads((folder / "result.json").read_text())
    assert (again["arch"], again["test_accuracy"]) == (first["arch"], first["test_accuracy"])


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["export", "RUN", "--out", "x.onnx", "--pretrained", "torchvision:resnet18"],
            "was begun with tests.pretrained",
        ),
        (["ranking", "RUN", "--image-size", "96"], "was begun with 64"),
        (["specialize", "RUN", "--budget-ms", "5", "--data", "digits"], "--data digits"),
        (["ingest", "RESULTS", "--pretrained", "tests.pretrained._networks:resnet"], "the kit is of tests.pretrained"),
    ],
)
def test_what_contradicts_is_refused_in_one_line(run, results, capsys, words, message):
    words = [{"RUN": str(run), "RESULTS": str(results)}.get(word, word) for word in words]
    assert edgenas(*words, "-q") == 2
    assert message in one_line(capsys.readouterr())
