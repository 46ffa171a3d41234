from __future__ import annotations

import json

import pytest

from edgenas.cli import main as cli
from edgenas.workflows.config import Config
from edgenas.workflows.whole_networks import Baseline

ROWS = [
    Baseline("efficientnet-lite0", 96, "50", 70.5e6, 1.9, 1.83, 0.004, True, True),
    Baseline("torchvision:resnet50", 224, "00", 4089e6, 80.0, None, None, False, False),
]


def test_a_line_for_each_network_and_resolution(fake, capsys):
    asked = fake("baseline", answer=ROWS)
    assert cli.main(["baseline", "--budget-ms", "2", "--data", "photos"]) == 0
    heads, first, second = capsys.readouterr().out.splitlines()
    assert heads.split()[:3] == ["network", "pixels", "MACs"]
    assert first.split() == "efficientnet-lite0 96 70 M 1.900 1.830 ± 0.4 % fits".split()
    assert second.split() == "torchvision:resnet50 224 4089 M 80.00 weights not here".split()
    assert asked.configs == [Config(budget_ms=2, data="photos")]


def test_of_each_network_the_resolutions_around_the_budget_are_shown(fake, capsys):
    sides = [
        Baseline("mine", side, str(side), side * 1e6, side, None, None, side <= 96, True) for side in (128, 96, 64)
    ]
    fake("baseline", answer=[*ROWS, *sides])
    cli.main(["baseline", "--budget-ms", "96"])
    *lines, more = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["96", "224", "128", "96"]
    assert more == "1 more resolutions are in --json"


def test_json(fake, capsys):
    fake("baseline", answer=ROWS)
    assert cli.main(["baseline", "--budget-ms", "2", "--json"]) == 0
    assert [row["network"] for row in json.loads(capsys.readouterr().out)] == [row.network for row in ROWS]


@pytest.mark.parametrize("as_json", [False, True])
def test_training_ends_with_the_result_of_a_run(fake, found, capsys, as_json):
    fake("baseline", answer=ROWS)
    training = fake("baseline", "train_baseline", answer=found)
    cli.main(["baseline", "--budget-ms", "2", "--train", *["--json"] * as_json])
    out = capsys.readouterr().out
    assert training.calls[0][0][1] == ROWS
    assert ("efficientnet-lite0" in out) is not as_json and (not as_json or json.loads(out))
