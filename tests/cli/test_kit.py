from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgenas.cli import kit as command
from edgenas.cli import main as cli
from edgenas.latency import transfer
from edgenas.workflows.kit_content import KitOptions


@pytest.fixture
def made(fake):
    """The three workflows that write kits, by name."""

    def write(*arguments, out, **keywords):
        Path(out).write_bytes(b"zip" * 1000)
        return {"kit": "a1b2", "probes": [1, 2, 3]}

    return {name: fake("kit", name, write) for name in ("kit", "reduced_kit", "finalists_kit")}


def called(made):
    """The only call, and of which workflow it is."""
    ((name, call),) = [(name, call) for name, workflow in made.items() for call in workflow.calls]
    return name, *call


def test_a_kit_says_what_to_do_with_it(made, tmp_path, capsys):
    out = tmp_path / "kit.zip"
    assert cli.main(["kit", "--resolution", "96", "--only", "width=0.5", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"{out}: 3 probes, 3 kB" in shown and "python run.py" in shown and "index.html" in shown
    assert "edgenas ingest RESULTS.jsonl\n" in shown
    name, (_, _, options), how = called(made)
    assert name == "kit" and options == KitOptions((3, 96, 96), 10, only={"width": ["0.5"]})
    assert how == dict(out=out, page=True)


def test_a_reduced_kit_is_for_adapt(made, tmp_path, capsys):
    out = tmp_path / "few.zip"
    words = ["--probes", "10", "--from", "pi4", "--from", "pi3", "--no-page", "--shape", "1x28x28", "-o", str(out)]
    assert cli.main(["kit", *words]) == 0
    shown = capsys.readouterr().out
    assert "edgenas adapt RESULTS.jsonl" in shown and "index.html" not in shown
    name, (_, _, options), how = called(made)
    assert name == "reduced_kit" and options.shape == (1, 28, 28)
    assert how == dict(count=10, known=["pi4", "pi3"], out=out, page=False)


def test_sources_are_all_by_default(made, tmp_path):
    assert cli.main(["kit", "--probes", "10", "-o", str(tmp_path / "few.zip")]) == 0
    assert called(made)[2]["known"] == ["all"]


def test_a_kit_of_finalists(made, tmp_path, capsys):
    out = tmp_path / "confirm.zip"
    assert cli.main(["kit", "--bundle", "runs/pi5", "-o", str(out)]) == 0
    assert "edgenas ingest RESULTS.jsonl --bundle runs/pi5" in capsys.readouterr().out
    name, (run, _), how = called(made)
    assert name == "finalists_kit" and run == Path("runs/pi5") and how == dict(out=out, page=True)


def test_json(made, tmp_path, capsys):
    out = tmp_path / "kit.zip"
    assert cli.main(["kit", "--general", "--json", "-o", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out), "kit": "a1b2", "probes": 3}
    assert called(made)[1][2].general


def test_the_fewest_probes_are_those_of_the_transfer():
    assert command.LEAST_PROBES == transfer.LEAST_PROBES


@pytest.mark.parametrize(
    "minutes, said", [(0.04, "about 2.4 s on"), (0.7, "about 42 s on"), (14.2, "about 14 min 12 s on")]
)
def test_how_long_chosen_ops_take_on_a_board(fake, tmp_path, capsys, minutes, said):
    def write(*arguments, out, **keywords):
        Path(out).write_bytes(b"zip")
        return {"kit": "a1b2", "probes": [], "ops_of_space": 900, "board_minutes": minutes}

    fake("kit", "kit", write)
    assert cli.main(["kit", "-o", str(tmp_path / "kit.zip")]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, again",
    [
        ([], ""),
        (["--space", "chain"], ""),
        (["--pretrained", "efficientnet-lite0"], ""),
        (["--space", "mine.spaces"], " --space mine.spaces"),
        (["--pretrained", "mine:net", "--weights", "my net.pt"], " --pretrained mine:net --weights 'my net.pt'"),
    ],
)
def test_a_space_of_one_s_own_is_named_again_for_the_results(made, tmp_path, capsys, monkeypatch, words, again):
    monkeypatch.setattr("edgenas.cli.kit.flags.input_of", lambda *_: ((3, 64, 64), 4))
    assert cli.main(["kit", *words, "-o", str(tmp_path / "kit.zip")]) == 0
    assert capsys.readouterr().out.endswith(f"edgenas ingest RESULTS.jsonl{again}\n")
