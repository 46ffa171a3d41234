from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.metadata import version

import pytest

from edgenas.cli import main as cli
from edgenas.cli.baseline import TRAIN_SETTINGS
from edgenas.system.file_index import write_kept
from edgenas.system.run_folder import write_format
from edgenas.workflows.baseline_train import OF_A_RUN
from edgenas.workflows.config import Config
from edgenas.workflows.whole_networks import Baseline
from tests.cli.fakes import one_line


def row(network, side, ms, fits, *, measured=None, is_here=True):
    low, high = (ms * 0.9, ms * 1.1) if measured is None else (measured * 0.99, measured * 1.01)
    error = None if measured is None else 0.01
    return Baseline(network, side, "50", side * 1e6, ms, low, high, measured, error, fits, is_here)


ROWS = [
    row("efficientnet-lite0", 96, 1.9, True, measured=1.83),
    row("torchvision:resnet50", 224, 80.0, False, is_here=False),
]


def test_a_line_for_each_network_and_resolution(fake, capsys):
    asked = fake("baseline", answer=ROWS)
    assert cli.main(["baseline", "--budget-ms", "2", "--data", "photos"]) == 0
    heads, first, second = capsys.readouterr().out.splitlines()
    assert heads.split("  ")[0] == "network" and heads.endswith("interval  in 2 ms")
    assert first.split() == "efficientnet-lite0 96 96 M 1.900 1.830 1.812 to 1.848 fits".split()
    assert second.split() == "torchvision:resnet50 224 224 M 80.00 72.00 to 88.00 too slow weights not here".split()
    assert asked.configs == [Config(budget_ms=2, data="photos")]


def test_of_each_network_the_resolutions_around_the_budget_are_shown(fake, capsys):
    fits = {160: False, 128: False, 112: None, 96: True, 64: True}
    fake("baseline", answer=[*ROWS, *(row("mine", side, side, found) for side, found in fits.items())])
    cli.main(["baseline", "--budget-ms", "110"])
    *lines, more = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["96", "224", "128", "112", "96"]
    assert "unclear" in lines[-2], "what nobody knows is not said to fit"
    assert more == "2 more resolutions are in --json"


def test_an_unknown_repeat_error_is_no_interval(fake, capsys):
    fake("baseline", answer=[replace(row("mine", 96, 2.0, None, measured=2.0), low_ms=0.0, high_ms=math.inf)])
    assert cli.main(["baseline", "--budget-ms", "2"]) == 0
    assert capsys.readouterr().out.split()[-2:] == ["unknown", "unclear"]


def test_json(fake, capsys):
    fake("baseline", answer=ROWS)
    assert cli.main(["baseline", "--budget-ms", "2", "--json"]) == 0
    assert [row["network"] for row in json.loads(capsys.readouterr().out)] == [row.network for row in ROWS]


@pytest.mark.parametrize("as_json", [False, True])
def test_where_nothing_fits_the_fastest_and_the_next_step_are_named(fake, capsys, as_json):
    fake("baseline", answer=[row("mine", 96, 8.0, False, measured=7.9), row("mine", 64, 4.0, False, measured=4.1)])
    assert cli.main(["baseline", "--budget-ms", "2", *["--json"] * as_json]) == 1
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert "no trained network fits 2 ms: the fastest, mine at 64 pixels, takes 4.100 ms (4.059 to 4.141)" in line
    assert "--budget-ms 4.6 or more" in line and "`edgenas search --pretrained mine --budget-ms 2`" in line
    assert shown.out.startswith("[" if as_json else "network"), "the table comes all the same"


@pytest.mark.parametrize("device, code", [((), 0), (("--device", "pi5"), 1)])
def test_what_is_unclear_may_fit_here_and_is_not_promised_elsewhere(fake, capsys, device, code):
    fake("baseline", answer=[row("mine", 96, 2.0, None)])
    assert cli.main(["baseline", "--budget-ms", "2", *device]) == code
    assert ("is sure to fit 2 ms on pi5" if device else "unclear: other programs ran") in capsys.readouterr().err


def test_the_settings_of_a_run_are_those_that_are_refused_without_one():
    assert set(TRAIN_SETTINGS) == set(OF_A_RUN)


@pytest.mark.parametrize("flag", [("--output", "runs/x"), ("--resume",), ("--final-epochs", "1"), ("--int8",)])
def test_a_flag_of_a_run_needs_train(fake, capsys, flag):
    asked = fake("baseline", answer=ROWS)
    assert cli.main(["baseline", "--budget-ms", "2", *flag]) == 2
    assert f"{flag[0]} is of the run that --train makes" in one_line(capsys.readouterr()) and not asked.calls


@pytest.mark.parametrize("as_json", [False, True])
def test_training_ends_with_the_result_of_a_run(fake, found, capsys, as_json):
    rows = [replace(ROWS[0], arch=found.arch), ROWS[1]]
    fake("baseline", answer=rows)
    training = fake("baseline_train", "train_baseline", answer=replace(found, space="efficientnet-lite0"))
    cli.main(["baseline", "--budget-ms", "2", "--train", *["--json"] * as_json])
    out = capsys.readouterr().out
    assert training.calls[0][0][1] == rows
    if as_json:
        assert json.loads(out)["space"] == "efficientnet-lite0"
        return
    assert out.startswith("Before any training, to choose by:")
    answer, earlier = out.splitlines()[-2:]
    assert answer.startswith("efficientnet-lite0 at 96 pixels takes 18.42 ms ± 1.2 %: the delivered file")
    for figure in ("1.830 ms measured with random weights, 1.900 ms predicted before", "18.20 ms predicted in it"):
        assert figure in earlier


def test_a_run_that_is_resumed_prices_nothing_again(fake, found, tmp_path, capsys):
    write_format(tmp_path, version("edgenas"))
    write_kept(tmp_path / "config.toml", b'budget_ms = 2\npretrained = "mine"\n')
    asked, training = fake("baseline"), fake("baseline_train", "train_baseline", answer=found)
    assert cli.main(["baseline", "--train", "--resume", "--output", str(tmp_path)]) == 0
    assert not asked.calls and training.calls[0][0][0].pretrained == "mine"
