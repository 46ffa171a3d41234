from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.cli import main as cli
from edgenas.cli import specialize as command
from edgenas.workflows import source_run
from edgenas.workflows.config import ABOUT, Config


@pytest.fixture
def specialising(fake, found):
    fake("source_run", "settings", lambda source, given: Config(**given))
    return fake("specialize", answer=found)


def test_the_run_whose_weights_are_used_and_what_differs(specialising, capsys):
    assert cli.main(["specialize", "runs/photos", "--budget-ms", "5", "--output", "runs/b", "-q"]) == 0
    assert capsys.readouterr().out.startswith("Budget met: 18.42 ms")
    ((config, source, *_), _), *_ = specialising.calls
    assert source == Path("runs/photos") and config == Config(budget_ms=5, output="runs/b")


def test_interrupted_it_goes_on_as_itself(specialising, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text("")
    specialising.failure = KeyboardInterrupt()
    assert cli.main(["specialize", "runs/photos", "--budget-ms", "5", "--output", str(tmp_path)]) == 130


def test_help_names_every_setting_that_may_change():
    flags = {name for group in command.GROUPS.values() for name in group}
    assert flags == {*source_run.CHANGEABLE, *ABOUT, "data"}


def test_defaults_are_those_of_the_workflow(capsys):
    assert command.DEFAULTS == {name: source_run.DEFAULTS[name] for name in command.DEFAULTS}
    cli.main(["specialize", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(f"(default: {value})" in shown for value in command.DEFAULTS.values())
