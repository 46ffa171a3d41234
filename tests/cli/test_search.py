from __future__ import annotations

import json
import shlex
import signal
from dataclasses import fields, replace

import pytest

from edgenas.cli import main as cli
from edgenas.cli import search as command
from edgenas.errors import DataError
from edgenas.system import plugins
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import Config
from edgenas.workflows.named import name_plugins


def test_search_prints_the_summary_and_nothing_that_libraries_print(searching, capsys):
    assert cli.main(["search", "--budget-ms", "20"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Budget met: 18.42 ms")
    assert "± 0.98" in captured.out and "note: a note of the run" in captured.out and "Pareto front" in captured.out
    assert captured.err == "a library prints this\n"


def test_search_prints_json_alone(searching, capsys):
    assert cli.main(["search", "--budget-ms", "20", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(searching.result.to_json())
    (arguments, _), *_ = searching.calls
    assert type(arguments[1]) is SilentReporter


def test_search_prints_json_and_beside_it_how_to_have_the_model_measured(searching, capsys):
    searching.result = replace(searching.result, measured_ms=None, met_budget=None)
    assert cli.main(["search", "--budget-ms", "20", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["measured_ms"] is None and "edgenas ingest confirmed.jsonl" in captured.err


@pytest.mark.parametrize("met, code", [(True, 0), (None, 0), (False, 1)])
def test_the_exit_code_says_whether_the_budget_is_met(searching, met, code):
    searching.result = replace(searching.result, met_budget=met)
    assert cli.main(["search", "--budget-ms", "20"]) == code


def test_a_failure_is_one_line_below_what_libraries_print(searching, capsys):
    searching.answer = lambda *_: print("a library prints this")
    searching.failure = DataError("broken")
    assert cli.main(["search", "--budget-ms", "20"]) == 3
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == "edgenas: broken\n"


def test_a_run_without_a_name_has_that_of_the_time(searching):
    assert cli.main(["search", "--budget-ms", "20"]) == 0
    assert searching.configs[0].output.startswith("runs/20")


def test_every_setting_is_in_one_group_of_the_help():
    names = [name for group in command.GROUPS.values() for name in group]
    assert len(names) == len(set(names)) and set(names) <= {item.name for item in fields(Config)}


@pytest.mark.parametrize("where", [{"workers": 2}, {"ray": "auto"}])
def test_the_line_to_go_on_with_says_where_trials_run(tmp_path, where):
    (tmp_path / "config.toml").write_text("")
    error = command._interrupted(Config(output=str(tmp_path), **where), signal.SIGTERM)
    (name, value), *_ = where.items()
    assert str(error).endswith(f"--resume --{name} {value}")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"space": "./tiny.py"}, "--space ./tiny.py"),
        ({"pretrained": "package.module:function"}, "--pretrained package.module:function"),
        ({"strategy": "my.search", "evaluator": "a b.py"}, "--strategy my.search --evaluator 'a b.py'"),
        ({"runtime": "my.runtime", "workers": 2}, "--runtime my.runtime --workers 2"),
        ({"data": "my.data", "data_root": "photos"}, "--data my.data"),
        ({"data": "photos", "pretrained": "torchvision:resnet18", "teacher": "efficientnet-lite2"}, ""),
        ({"data": "gone", "space": "my.space"}, "--space my.space"),
    ],
)
def test_the_line_to_go_on_with_names_ones_own_code(tmp_path, monkeypatch, settings, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setattr(plugins, "_NAMED", set())
    config = Config(output=str(tmp_path), **settings)
    assert not list(command._own_code(config)), "a file of settings has named it, and nothing of it was run"
    name_plugins(settings)
    error = command._interrupted(config, signal.SIGTERM)
    line = shlex.split(str(error).partition("to go on: edgenas ")[2])
    assert line == ["search", "--output", str(tmp_path), "--resume", *shlex.split(words)]
    cli._parser("search", command).parse_args(line[1:])


def test_without_anything_kept_there_is_nothing_to_resume(tmp_path):
    error = command._interrupted(Config(output=str(tmp_path)), signal.SIGTERM)
    assert error.exit_code == 143 and "--resume" not in str(error)
