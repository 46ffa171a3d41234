from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.workflows.ranking import Ranked, Ranking

NETWORKS = [Ranked("012", 1.25, 0.9012, 0.95), Ranked("345", 2.5, 0.92, 0.96)]


@pytest.fixture
def ranked(fake):
    return fake("ranking", answer=Ranking(NETWORKS, epochs=4, images=144, spearman=1.0, kendall=float("nan")))


def test_both_accuracies_of_each_network_and_how_they_agree(ranked, capsys):
    words = ["--networks", "32", "--epochs", "4", "--train-device", "cpu", "--image-size", "96"]
    assert cli.main(["ranking", "runs/one", *words]) == 0
    head, first, _, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["ms", "shared", "alone", "network"]
    assert first.split() == ["1.250", "90.12", "%", "95.00", "%", "012"]
    assert "2 networks: Spearman 1.00, Kendall unknown" in last and "144 images" in last
    ((run, _), how), *_ = ranked.calls
    assert run == Path("runs/one") and how == dict(
        networks=32, epochs=4, moved={"train_device": "cpu", "image_size": "96"}
    )


def test_json(ranked, capsys):
    assert cli.main(["ranking", "runs/one", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["kendall"] is None and shown["networks"][1]["arch"] == "345"
