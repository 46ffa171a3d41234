"""Kits from Python: what is passed on, and a whole way from a kit to a predicted table."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgenas
from edgenas.testing import Tiny
from edgenas.workflows.config import Config, make_config
from edgenas.workflows.given import Given
from edgenas.workflows.kit_content import KitOptions


@pytest.fixture
def kits(fake):
    return {name: fake("kit", name, {"kit": name}) for name in ("kit", "reduced_kit", "finalists_kit")}


@pytest.mark.parametrize(
    "keywords, name, options, how",
    [
        ({}, "kit", KitOptions((1, 32, 32), 10), dict(page=True)),
        (
            {"space": Tiny, "only": {"width": ["4"]}, "nets": 9, "tests": 0, "precisions": ["int8"], "page": False},
            "kit",
            KitOptions((1, 32, 32), 10, {"width": ["4"]}, 9, 0, ("int8",), space=Tiny),
            dict(page=False),
        ),
        (
            {"probes": 5, "sources": ["pi4"], "general": True},
            "reduced_kit",
            KitOptions((1, 32, 32), 10, general=True),
            dict(count=5, known=["pi4"], page=True),
        ),
    ],
)
def test_a_kit_is_made_of_what_it_is_given(kits, keywords, name, options, how):
    assert edgenas.kit("kit.zip", **keywords) == {"kit": name}
    ((_, _, given), passed), *_ = kits[name].calls
    assert given == options and passed == how | {"out": Path("kit.zip")}


def test_a_kit_of_finalists(kits):
    assert edgenas.kit("kit.zip", bundle="runs/pi5") == {"kit": "finalists_kit"}
    ((run, _), _), *_ = kits["finalists_kit"].calls
    assert run == Path("runs/pi5")


OWN = {"pretrained": "mine:network", "weights": "w.pt", "image_size": 96}


@pytest.mark.parametrize(
    "name, call, expected",
    [
        ("ingest", lambda: edgenas.ingest("r.jsonl", kit="k.zip"), dict(kit=Path("k.zip"), out=None, config=Config())),
        (
            "ingest",
            lambda: edgenas.ingest("r.jsonl", pretrained="mine:network", weights=Path("w.pt"), image_size=96),
            dict(
                kit=None,
                out=None,
                config=make_config({"pretrained": "mine:network", "weights": "w.pt", "image_size": 96}),
            ),
        ),
        (
            "adapt",
            lambda: edgenas.adapt("r.jsonl", sources=["pi4"], out="tables"),
            dict(known=["pi4"], precisions=("fp32", "int8"), kit=None, out=Path("tables"), config=Config()),
        ),
    ],
)
def test_results_become_tables(fake, name, call, expected):
    workflow = fake(name, answer=["a table"])
    assert call() == ["a table"]
    assert workflow.calls == [((Path("r.jsonl"),), expected)]


def test_confirm_gives_the_result_of_the_run(fake, found):
    confirming = fake("confirm", answer=found)
    assert edgenas.confirm("r.jsonl", "runs/pi5") is found
    ((results, run, _), how), *_ = confirming.calls
    assert (results, run) == (Path("r.jsonl"), Path("runs/pi5")) and how == dict(kit=None, given=Given(), moved={})
    edgenas.confirm("r.jsonl", "runs/pi5", space=Tiny, runtime="onnxruntime", weights=Path("w.pt"))
    (_, how) = confirming.calls[-1]
    assert how["given"] == Given(space=Tiny) and how["moved"] == {"runtime": "onnxruntime", "weights": "w.pt"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Results of a kit of the tiny space, measured here as on any other device, and the kit."""
    folder = tmp_path_factory.mktemp("kit")
    kit = folder / "kit.zip"
    edgenas.kit(kit, space=Tiny, nets=8, tests=0, precisions=["fp32"], page=False)
    shutil.unpack_archive(kit, folder)
    words = [sys.executable, "run.py", "--name=toy", "--out=results.jsonl"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder / "results.jsonl", kit


@pytest.mark.alone
def test_from_a_kit_to_tables_of_two_devices(measured, tmp_path):
    results, kit = measured
    ((path, table),) = edgenas.ingest(results, kit=kit, out=tmp_path)
    assert path.parent.name == table.device == "toy" and len(table.nets) == 8
    rows = edgenas.predict(samples=3, space=Tiny, table=path)
    assert all(row.estimated_share == 0 for row in rows)
