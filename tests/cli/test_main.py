"""Parsing, dispatch, help, and what a person reads when something goes wrong."""

from __future__ import annotations

import errno
import os
import pkgutil
import shlex
from dataclasses import fields

import pytest

import edgenas.cli
from edgenas import errors
from edgenas.cli import main as cli
from edgenas.system import plugins
from edgenas.workflows.config import Config, flag
from tests.cli.fakes import HEAVY, one_line, python

# Files of the folder that are no command.
PARTS = {"flags", "forecast", "main", "output", "signals", "summary", "tables"}


def test_every_command_is_a_file():
    assert {module.name for module in pkgutil.iter_modules(edgenas.cli.__path__)} == set(cli.COMMANDS) | PARTS


@pytest.mark.parametrize("arguments", [[], ["--help"], *([command, "--help"] for command in cli.COMMANDS)])
def test_help_shows_an_example_and_imports_nothing_heavy(arguments):
    script = "import sys; from edgenas.cli.main import main; code = main(sys.argv[1:])\n"
    script += "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    done = python(script, *arguments, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 0
    assert "example:\n  edgenas " in done.stdout
    assert not HEAVY & set(done.stderr.split())
    example = done.stdout.split("example:")[1]
    assert all(line.startswith("  edgenas ") for line in example.strip("\n").splitlines())
    assert max(map(len, done.stdout.replace(example, "").splitlines())) <= 88


def test_the_overview_imports_no_command_and_no_settings():
    script = "import sys; from edgenas.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    imported = set(python(script).stderr.split())
    commands = {f"edgenas.cli.{name}" for name in cli.COMMANDS}
    assert not imported & (commands | {"edgenas.workflows", "edgenas.cli.flags"})


def test_help_of_search_names_every_setting(capsys):
    assert cli.main(["search", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{flag(item.name)} " in shown or f"{flag(item.name)}," in shown for item in fields(Config))


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_examples_parse(command, monkeypatch):
    module = cli._command(command)
    monkeypatch.setattr(module, "run", lambda arguments: 0)
    for line in module.EXAMPLE.splitlines():
        words = line.partition(" >")[0].split()
        assert words[:2] == ["edgenas", command]
        assert cli.main(words[1:]) == 0


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgenas {edgenas.__version__}\n"


@pytest.mark.parametrize(
    "words, says",
    [
        (["serach"], "did you mean `edgenas search`?"),
        (["qqqq"], "there are search, specialize, ranking,"),
        (["--budget-ms", "20"], "edgenas search --budget-ms 20"),
        (["--nope"], "where a command belongs"),
        (["search", "--budgt-ms", "20"], "did you mean --budget-ms?"),
        (["search", "--budget", "20"], "no flag '--budget'"),  # abbreviations would change meaning as flags are added
        (["search", "--qqqq=1"], "see `edgenas search --help`"),
        (["search", "more"], "does not take 'more'"),
        (["search", "--budget-ms"], "--budget-ms: expected one argument"),
        (["search", "--config", "/none.toml"], "/none.toml: cannot be read"),
        (["search", "--resume"], "--output"),
        (["search", "--statics", "2"], "the flag --statics is named --shape-choices now"),
        (["search", "--statics=2"], "the flag --statics is named --shape-choices now"),
        (["search", "--preset", "darts"], "--strategy darts"),
        (["search", "--preset", "mnasnt"], "did you mean mnasnet?"),
        (["train", "--sed", "1"], "did you mean --seed?"),
        (["train"], "say which architecture to train"),
        (["specialize"], "edgenas specialize RUN"),
        (["predict"], "one of them"),
        (["predict", "012", "--samples", "3"], "one of them"),
        (["predict", "--samples", "0"], "from 1 to 10,000,000"),
        (["predict", "--samples", "2", "--ops"], "--ops takes codes"),
        (["predict", "--archs", "/none"], "--archs /none: cannot be read"),
        (["predict", "--archs", os.devnull], "no architecture in it"),
        (["profile", "--shape", "3x96"], "for example 3x96x96"),
        (["profile", "--shape", "3x96x0"], "for example 3x96x96"),
        (["profile", "--classes", "1"], "from 2 to 100,000"),
        (["profile", "--seconds", "nan"], "expected a number from 1"),
        (["profile", "--only", "width=1"], "--only is for another device; name it with --ssh user@host"),
        (["profile", "--tests", "0"], "--tests is for another device"),
        (["profile", "--ssh", "pi@board", "--seconds", "5"], "leave --seconds and --runtime out"),
        (["profile", "--ssh", "pi@board", "--runtime", "onnxruntime-web"], "leave --seconds and --runtime out"),
        (["profile", "--ssh", "pi@board", "--name", "../pi"], "'../pi' is not a name"),
        (["profile", "--ssh", "pi@board", "--only", "width"], "is not CHOICE=VALUE"),
        (["kit", "--from", "pi4"], "--from chooses a few probes"),
        (["kit", "--probes", "2"], "from 3 to 1,000"),
        (["ranking"], "required: RUN"),
        (["bench"], "required: FILE"),
        (["export", "runs/one"], "required: --out"),
        (["list", "spacs"], "spaces"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(searching, capsys, words, says):
    assert cli.main(words) == 2
    assert says in one_line(capsys.readouterr())
    assert not searching.calls


@pytest.mark.parametrize("world, code", [("1", 0), ("2", 2)])
def test_only_search_and_train_run_in_several_processes(monkeypatch, capsys, world, code):
    monkeypatch.setattr(cli.distributed, "world", lambda: int(world))
    assert cli.main(["list", "runtimes"]) == code
    assert ("without torchrun" in capsys.readouterr().err) == (code == 2)


@pytest.mark.parametrize(
    "failure, code, says",
    [
        (errors.BudgetError("fastest is 2 ms"), 1, "fastest is 2 ms"),
        (errors.ExportError("differs"), 1, "differs"),
        (errors.UnknownName("no 'x'"), 2, "no 'x'"),
        (errors.DataError("class 'a\nb\x1b[2J' is empty"), 3, "class 'a\\nb\\x1b[2J' is empty"),
        (errors.NoisyMachine("noise"), 4, "noise"),
        (errors.Interrupted("stopped"), 130, "stopped"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 4, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 4, "runs/x: No space left on device; free"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), 4, "runs/x: Permission denied"),
        (ZeroDivisionError("one\ntwo"), 1, "internal error, ZeroDivisionError: one\\ntwo; run again with -v"),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(fake, capsys, failure, code, says):
    fake("export").failure = failure
    assert cli.main(["export", "runs/one", "--out", "m.onnx"]) == code
    assert one_line(captured := capsys.readouterr()).startswith("edgenas: ") and says in captured.err


def test_a_line_to_type_stays_whole(fake, capsys):
    with pytest.raises(errors.OwnCode) as caught:
        plugins.check_named("spaces", "s" * 300 + ".inner")
    fake("export").failure = caught.value
    words = ["export", "r" * 300, "--out", "a 'b' " * 100]
    assert cli.main(words) == 2
    line = capsys.readouterr().err.partition("edgenas export")[2]
    assert shlex.split(f"export{line}") == [*words, "--space", "s" * 300 + ".inner"]
    fake("export").failure = errors.Interrupted(f"stopped; to go on: edgenas search --output {'r' * 300}")
    assert cli.main(words) == 130
    assert capsys.readouterr().err.endswith(f"--output {'r' * 300}\n")


def test_verbose_adds_the_traceback(fake, capsys):
    fake("export").failure = errors.DataError("broken")
    assert cli.main(["export", "runs/one", "--out", "m.onnx", "-v"]) == 3
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.endswith("edgenas: broken\n")


def test_a_path_that_is_too_long_is_one_line_and_exit_code_4(tmp_path, capsys):
    output = tmp_path / ("x" * 300)
    assert cli.main(["search", "--budget-ms", "20", "--device", "amd-epyc-zen4", "--output", str(output)]) == 4
    assert one_line(capsys.readouterr()).endswith("File name too long")
