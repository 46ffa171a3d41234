from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

import edgenas
from edgenas import errors
from edgenas.cli import main as cli
from edgenas.cli import search as search_command
from edgenas.latency.table import LatencyTable, NetRow, OpRow, write_table
from edgenas.runtimes import bench
from edgenas.runtimes.bench import Bench, Port
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import Config, flag, to_toml
from tests.workflows.test_result import RESULT, front

HEAVY = {"torch", "torchvision", "numpy", "onnx", "onnxruntime", "fvcore", "scipy", "sklearn", "PIL", "rich", "pydoc"}


class FakeApi:
    """Stands for the workflows: remembers what it was asked for, answers or fails as it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.result = RESULT
        self.failure: BaseException | None = None
        self.rows: list[dict[str, object]] = []

    def search(self, config, reporter, stop=None):
        print("a library prints this")
        self.calls.append((config, reporter, stop))
        if self.failure:
            raise self.failure
        return self.result

    @staticmethod
    def output_path(config):
        return Path(config.output or "runs/now")

    @staticmethod
    def front(folder):
        return front(3)

    @staticmethod
    def notes(folder):
        return [f"front of {folder}"]

    @staticmethod
    def images(folder):
        return {"validation": 100, "test": 400}

    def predict(self, config, **how):
        self.calls.append((config, how))
        return iter(self.rows)

    def profile(self, config, reporter, **how):
        self.calls.append((config, how))
        header = {"device": "some-cpu", "repeat_error": "0.0123"}
        ops = {"conv": OpRow(1, 1, 1, 1, 1, 1)}
        return Path("tables/a b.csv"), LatencyTable(header, ops, (NetRow("mbconv 1x32x32 10", "0", 1, 1, 1),))

    def profile_over_ssh(self, config, reporter, **how):
        self.calls.append((config, how))
        if self.failure:
            raise self.failure
        header = {"device": "pi5", "repeat_error": "0.0123", "precision": "fp32"}
        return [(Path("tables/pi5.csv"), LatencyTable(header, {"conv": OpRow(1, 1, 1, 1, 1, 1)}, ()))]

    def train(self, config, arch, reporter):
        self.calls.append((config, arch))
        return {"arch": arch, "validation_accuracy": float("nan")}

    def export(self, run, reporter, **how):
        self.calls.append((run, how))
        return how["out"]


@pytest.fixture
def api(monkeypatch) -> FakeApi:
    fake = FakeApi()
    for name in ("api", "kits"):
        monkeypatch.setitem(sys.modules, f"edgenas.{name}", fake)
        monkeypatch.setattr(edgenas, name, fake, raising=False)
    return fake


def one_line(captured) -> str:
    """The only line on stderr; nothing is on stdout."""
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and captured.err.endswith("\n"), captured.err
    return lines[0]


def python(script: str, *arguments: str, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, **kwargs)


# Help


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


def test_help_of_search_names_every_setting(capsys):
    assert cli.main(["search", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{flag(item.name)} " in shown or f"{flag(item.name)}," in shown for item in fields(Config))


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_examples_parse(command, monkeypatch, capsys):
    module = cli._command(command)
    monkeypatch.setattr(module, "run", lambda arguments: 0)
    for line in module.EXAMPLE.splitlines():
        words = line.partition(" >")[0].split()
        assert words[:2] == ["edgenas", command]
        assert cli.main(words[1:]) == 0


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"edgenas {edgenas.__version__}\n"


# Settings

SAMPLES = {bool: True, int: "3", float: "0.25", str: "cpu"}
SPECIAL = {"recipe": "300", "ray": "auto", "preset": "mnasnet", "reward": "soft", "precision": "int8"}


@pytest.mark.parametrize(
    "item", [i for i in fields(Config) if not i.name.startswith(("budgets_ms", "options"))], ids=lambda item: item.name
)
def test_every_setting_is_a_flag_and_a_keyword(api, item, tmp_path):
    kind = next(kind for kind in SAMPLES if kind.__name__ in str(item.type))
    value = SPECIAL.get(item.name, SAMPLES[kind])
    (tmp_path / "config.toml").write_text("")
    needed = {"output": str(tmp_path)} if item.name == "resume" else {}
    words = [word for name, text in needed.items() for word in (flag(name), text)]
    words += [flag(item.name)] if kind is bool else [flag(item.name), value]
    assert cli.main(["search", "--quiet", *words]) == 0
    edgenas.search(**needed, **{item.name: value})
    by_flag, by_keyword = (call[0] for call in api.calls)
    assert (
        getattr(by_flag, item.name) == getattr(by_keyword, item.name) == (value if kind in (bool, str) else kind(value))
    )


def test_options_of_a_strategy_are_given_one_by_one(api):
    words = ["--options", "guards=off", "--options", "order=2"]
    assert cli.main(["search", "--budget-ms", "1", "--strategy", "darts", *words]) == 0
    edgenas.search(budget_ms=1, strategy="darts", options=["guards=off", "order=2"])
    assert [config.options for config, *_ in api.calls] == 2 * [("guards=off", "order=2")]


@pytest.mark.parametrize("given", [["guards"], ["=off"], ["guards=on", "guards=off"]])
def test_options_that_are_none_are_refused(api, given, capsys):
    assert cli.main(["search", *(word for text in given for word in ("--options", text))]) == 2
    assert "--options" in capsys.readouterr().err and not api.calls


@pytest.mark.parametrize(
    "given, plain, named",
    [
        (["pixel3=2e1"], None, ("pixel3=20.0",)),
        (["20", "a/ort-1t-int8=3", "b=.5"], 20.0, ("a/ort-1t-int8=3.0", "b=0.5")),
        (["a=b=3"], None, ("a=b=3.0",)),
    ],
)
def test_one_flag_takes_the_budgets_of_all_devices(api, given, plain, named):
    assert cli.main(["search", *(word for text in given for word in ("--budget-ms", text))]) == 0
    edgenas.search(budget_ms=plain, budgets_ms=[text for text in given if "=" in text])
    for config, *_ in api.calls:
        assert (config.budget_ms, config.budgets_ms) == (plain, named)


@pytest.mark.parametrize(
    "given, message",
    [
        (["20", "30"], "20 and 30 are for one device"),
        (["a=1", "a=2"], "two values for a: 1 and 2"),
        (["=1"], "not NAME=MS"),
        (["a="], "from 0.001 to 60,000"),
        (["a=1e9"], "from 0.001 to 60,000"),
        (["a\0=1"], "zero byte"),
    ],
)
def test_budgets_that_are_none_are_refused(api, capsys, given, message):
    assert cli.main(["search", *(word for text in given for word in ("--budget-ms", text))]) == 2
    line = one_line(capsys.readouterr())
    assert "--budget-ms" in line and message in line


def test_flags_win_over_the_file(api, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("budget_ms = 20\nseed = 7\nint8 = false\n")
    assert cli.main(["search", "--config", str(file), "--seed", "0", "--int8"]) == 0
    assert api.calls[0][0] == Config(budget_ms=20, seed=0, int8=True, output="runs/now")


def test_resuming_takes_the_settings_of_the_run(api, tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(Config(budget_ms=5, trials=9)))
    assert cli.main(["search", "--output", str(tmp_path), "--resume"]) == 0
    assert api.calls[0][0] == Config(budget_ms=5, trials=9, output=str(tmp_path), resume=True)


# Search


def test_search_prints_the_summary_and_nothing_that_libraries_print(api, capsys):
    assert cli.main(["search", "--budget-ms", "20"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Budget met: 18.42 ms")
    assert "± 0.98" in captured.out and "note: front of runs/one" in captured.out
    assert captured.err == "a library prints this\n"


def test_search_prints_json_alone(api, capsys):
    assert cli.main(["search", "--budget-ms", "20", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(RESULT.to_json())
    assert type(api.calls[0][1]) is SilentReporter


@pytest.mark.parametrize("met, code", [(True, 0), (None, 0), (False, 1)])
def test_the_exit_code_says_whether_the_budget_is_met(api, met, code):
    api.result = replace(RESULT, met_budget=met)
    assert cli.main(["search", "--budget-ms", "20"]) == code


def test_a_terminal_that_knows_only_ascii(api, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["search", "--budget-ms", "20"]) == 0
    stream.seek(0)
    assert "18.42 ms +- 1.2 %" in stream.read()


# What goes wrong


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
        (["train", "--sed", "1"], "did you mean --seed?"),
        (["train"], "required: ARCH"),
        (["predict"], "one of them"),
        (["predict", "012", "--samples", "3"], "one of them"),
        (["predict", "--samples", "0"], "from 1 to 10,000,000"),
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
        (["bench"], "required: FILE"),
        (["export", "runs/one"], "required: --out"),
        (["list", "spacs"], "spaces"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(api, capsys, words, says):
    assert cli.main(words) == 2
    assert says in one_line(capsys.readouterr())
    assert not api.calls


@pytest.mark.parametrize(
    "budget", ["0", "-1", "-0.5", "nan", "-nan", "inf", "-inf", "1e400", "-1e5", "2_0", "20ms", ""]
)
@pytest.mark.parametrize("joined", [True, False])
def test_a_bad_budget_names_flag_and_range(api, capsys, budget, joined):
    words = [f"--budget-ms={budget}"] if joined else ["--budget-ms", budget]
    assert cli.main(["search", *words]) == 2
    assert one_line(capsys.readouterr()).startswith("edgenas: --budget-ms: ")
    assert not api.calls


@pytest.mark.parametrize("budget", ["20ms", 0, float("nan")])
def test_the_same_from_python(api, budget):
    with pytest.raises(errors.UsageError, match=r"--budget-ms: .* from 0\.001 to 60,000"):
        edgenas.search(budget_ms=budget)


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
def test_each_failure_has_its_exit_code_and_one_line(api, capsys, failure, code, says):
    api.failure = failure
    assert cli.main(["search", "--budget-ms", "20"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("a library prints this\nedgenas: ")
    assert says in captured.err and captured.err.count("\n") == 2 and captured.out == ""


def test_verbose_adds_the_traceback(api, capsys):
    api.failure = errors.DataError("broken")
    assert cli.main(["search", "--budget-ms", "20", "-v"]) == 3
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.endswith("edgenas: broken\n")


# Signals

WAITING = """
import sys, time, types
import edgenas
from edgenas import errors
from edgenas.cli import main as cli
from edgenas.cli import search
from pathlib import Path
mode, folder = sys.argv[1:]
search.PATIENCE_S = 0.2 if mode == "deaf" else 60

def run(config, reporter, stop):
    Path(folder).mkdir()
    (Path(folder) / "config.toml").write_text("")
    print("ready", file=sys.__stdout__, flush=True)
    if mode == "polite":
        while not stop():
            time.sleep(0.01)
        raise errors.Interrupted("stopped")
    try:
        time.sleep(60)
    except Exception:
        sys.exit("nobody should catch this")

api = types.ModuleType("edgenas.workflows.api")
api.search, api.output_path = run, lambda config: Path(config.output)
sys.modules["edgenas.workflows.api"] = edgenas.workflows.api = api
sys.exit(cli.main(["search", "--budget-ms", "20", "--output", folder]))
"""


@pytest.mark.parametrize(
    "mode, signals, code",
    [
        ("polite", [signal.SIGINT], 130),
        ("polite", [signal.SIGTERM], 143),
        ("deaf", [signal.SIGINT], 130),  # patience ends
        ("deaf", [signal.SIGTERM], 143),
        ("busy", [signal.SIGINT, signal.SIGINT], 130),  # the second one does not wait
    ],
)
def test_a_signal_stops_a_search_and_says_how_to_go_on(tmp_path, mode, signals, code):
    folder = tmp_path / "a run"
    command = [sys.executable, "-c", WAITING, mode, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stderr
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signals[0])
        child.stderr.readline()  # empty: it ends the line of a bar
        assert "stopping at the next safe point" in child.stderr.readline()
        for signum in signals[1:]:
            child.send_signal(signum)
        errors_said = child.stderr.read()  # `communicate` would miss what `readline` has buffered
    assert child.returncode == code
    assert f"edgenas search --output '{folder}' --resume" in errors_said
    assert "Traceback" not in errors_said


@pytest.mark.parametrize("where", [{"workers": 2}, {"ray": "auto"}])
def test_the_line_to_go_on_with_says_where_trials_run(tmp_path, where):
    (tmp_path / "config.toml").write_text("")
    error = search_command._interrupted(Config(output=str(tmp_path), **where), signal.SIGTERM)
    (name, value), *_ = where.items()
    assert str(error).endswith(f"--resume --{name} {value}")


def test_without_anything_kept_there_is_nothing_to_resume(tmp_path):
    error = search_command._interrupted(Config(output=str(tmp_path)), signal.SIGTERM)
    assert error.exit_code == 143 and "--resume" not in str(error)


def test_handlers_are_put_back(api):
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    cli.main(["search", "--budget-ms", "20"])
    assert before == [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]


# Streams


@pytest.mark.parametrize("words", [["list"], ["--help"], ["search", "--help"], ["--version"]])
def test_a_closed_pipe_is_quiet(words):
    script = "import sys; sys.stdin.read(); from edgenas.cli.main import main; sys.exit(main(sys.argv[1:]))"
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", script, *words], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    os.close(read)
    assert child.communicate()[1] == b"" and child.returncode == 0


def test_closed_streams_are_no_fault():
    script = (
        "import sys; sys.stdout = sys.stderr = None; from edgenas.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    assert python(script, "list").returncode == 0
    assert python(script, "nope").returncode == 2


# Other commands

ROW = {
    "arch": "012",
    "latency_ms": 1.25,
    "low_ms": 1.0,
    "high_ms": 1.5,
    "macs": 12345678.0,
    "params": 3e5,
    "peak_bytes": 4e4,
    "macs_only_ms": 1.75,
}


@pytest.fixture
def rows(api) -> list[dict[str, object]]:
    api.rows = [{**ROW, "estimated_share": 0.0} for _ in range(3)]
    return api.rows


def test_predict_prints_a_few_as_a_table(rows, capsys):
    assert cli.main(["predict", "--samples", "3"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["ms", "low", "high", "by", "mult-adds", "mult-adds", "params", "peak", "arch"]
    assert len(lines) == 3 and lines[0].split()[:4] == ["1.250", "1.000", "1.500", "1.750"] and lines[0].endswith("012")


def test_predict_says_how_much_is_estimated(rows, capsys):
    rows[1]["estimated_share"] = 0.25
    assert cli.main(["predict", "--samples", "3"]) == 0
    assert "up to 25 % of a latency is estimated" in capsys.readouterr().out


@pytest.mark.parametrize("many, words", [(7, []), (1, ["--csv"])])
def test_predict_prints_many_as_csv(rows, capsys, many, words):
    rows *= many
    assert cli.main(["predict", "--samples", "3", *words]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "arch,latency_ms,low_ms,high_ms,macs,params,peak_bytes,macs_only_ms,estimated_share"
    assert lines == ["012,1.25,1,1.5,12345678,300000,40000,1.75,0"] * len(rows)


def test_predict_prints_json(rows, capsys):
    assert cli.main(["predict", "--samples", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_predict_of_codes_from_the_line_a_file_and_stdin(rows, api, tmp_path, monkeypatch):
    file = tmp_path / "codes.txt"
    file.write_text("012\n\n 345 \n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("012\n345\n"))
    for words in (["012", "345"], ["--archs", str(file)], ["--archs", "-"]):
        assert cli.main(["predict", *words, "--shape", "3x96x96", "--classes", "7", "--estimate-missing"]) == 0
    expected = dict(shape=(3, 96, 96), classes=7, archs=["012", "345"], samples=None, table=None)
    expected |= dict(estimate_missing=True)
    assert [how for _, how in api.calls] == [expected] * 3


def test_profile(api, capsys):
    assert cli.main(["profile", "--threads", "2", "--seconds", "5"]) == 0
    assert capsys.readouterr().out == "some-cpu: 1 ops and 1 whole networks, repeat error 1.2 %\ntables/a b.csv\n"
    config, how = api.calls[0]
    assert config.threads == 2 and how == dict(shape=(1, 32, 32), classes=10, seconds=5.0, out=None, general=False)


def test_profile_prints_json(api, capsys):
    assert cli.main(["profile", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ops"], shown["nets"], shown["repeat_error"]) == (1, 1, 0.0123)


def test_profile_over_ssh(api, capsys):
    words = "--ssh pi@board --python venv/bin/python --name pi5 --only width=0.5,1 --tests 0 --precision fp32"
    assert cli.main(["profile", *words.split(), "--threads", "4"]) == 0
    assert capsys.readouterr().out == "pi5, fp32: 1 ops and 0 whole networks, repeat error 1.2 %\ntables/pi5.csv\n"
    assert cli.main(["profile", "--ssh", "board", "--json"]) == 0
    assert [table["device"] for table in json.loads(capsys.readouterr().out)] == ["pi5"]
    (config, chosen), (_, default) = api.calls
    default_of = dict(host="board", python="python3", name=None, only={}, nets=100, tests=50, out=None, general=False)
    default_of |= dict(precisions=("fp32", "int8"), shape=(1, 32, 32), classes=10)
    assert config.threads == 4 and default == default_of
    given = dict(host="pi@board", python="venv/bin/python", name="pi5", tests=0, precisions=("fp32",))
    assert chosen == default_of | given | dict(only={"width": ["0.5", "1"]})


def test_profile_over_ssh_interrupted_says_how_to_go_on(api, capsys):
    api.failure = KeyboardInterrupt()
    assert cli.main(["profile", "--ssh", "board"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_train(api, capsys):
    assert cli.main(["train", "012", "--final-epochs", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"arch": "012", "validation_accuracy": None}
    assert api.calls == [(Config(final_epochs=2), "012")]


def test_export(api, capsys):
    assert cli.main(["export", "runs/one", "--out", "m.onnx", "--dynamic-batch"]) == 0
    assert capsys.readouterr().out == "m.onnx\n"
    assert api.calls == [(Path("runs/one"), dict(arch=None, out=Path("m.onnx"), dynamic_batch=True))]


@pytest.fixture
def timed(monkeypatch) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = []
    port = Port("input", (1, 3, 8, 8), "float32")

    def fake(models, **how):
        asked.append({"models": list(models), **how})
        facts = dict(ms=1.5, p90_ms=2.0, repeat_error=0.05, runs=300, clean_share=1.0, reference_ms=0.05, threads=1)
        return [Bench(path.name, runtime="ort", version="1", input=port, outputs=(port,), **facts) for path in models]

    monkeypatch.setattr(bench, "bench_in_fresh_process", fake)
    return asked


def test_bench_prints_a_table_and_warns_of_what_does_not_repeat(timed, capsys):
    assert cli.main(["bench", "x/a.onnx", "b.onnx", "--threads", "2", "--seconds", "1"]) == 0
    captured = capsys.readouterr()
    head, *lines = captured.out.splitlines()
    assert head.split() == ["ms", "p90", "ms", "repeat", "error", "runs", "threads", "runtime", "model"]
    assert [line.split() for line in lines] == [
        ["1.500", "2.000", "5.0", "%", "300", "1", "ort", "1", name] for name in ("a.onnx", "b.onnx")
    ]
    assert "b.onnx: repeat error 5.0 %; measure again" in captured.err
    assert timed[0]["models"] == [Path("x/a.onnx"), Path("b.onnx")] and timed[0]["threads"] == 2


def test_bench_prints_json(timed, capsys):
    assert cli.main(["bench", "a.onnx", "--json", "-q"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["repeat_error"] == 0.05
    assert captured.err == ""


# List


def test_list_describes_every_plugin(capsys):
    assert cli.main(["list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in shown["strategies"]} >= {"random", "evolution"}
    assert all(row["description"] for kind in edgenas.system.plugins.KINDS for row in shown[kind])
    assert cli.main(["list", "data"]) == 0
    assert "digits" in capsys.readouterr().out


def test_list_shows_this_machines_tables_and_what_is_wrong_with_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edgenas" / "tables" / "some-cpu"
    header = dict(unit="ms", device="some-cpu", runtime="ort", threads="1", precision="fp32", repeat_error="0.02")
    write_table(folder / "good.csv", LatencyTable(header, {"conv": OpRow(1, 1, 1, 1, 1, 1)}))
    (folder / "bad.csv").write_text("# unit: s\n")
    assert cli.main(["list", "devices"]) == 0
    shown = capsys.readouterr().out
    assert "good.csv" in shown and "2.0 %" in shown and "bad.csv: the header has no" in shown


# The package


def test_public_names_are_exactly_these():
    kinds = [name for name, kind in vars(errors).items() if isinstance(kind, type)]
    assert sorted(edgenas.__all__) == sorted([*kinds, "Config", "Result", "__version__", "search", "specialize"])
    assert dir(edgenas) == sorted(edgenas.__all__)
    assert all(getattr(edgenas, name) is not None for name in edgenas.__all__)
    with pytest.raises(AttributeError, match="nope"):
        _ = edgenas.nope


def test_the_package_alone_imports_nothing_heavy():
    done = python("import sys, edgenas; edgenas.Config, edgenas.Result; print(*sys.modules)")
    assert not HEAVY & set(done.stdout.split())


def test_search_from_python_is_silent_unless_asked(api, capsys):
    assert edgenas.search(budget_ms=20) is RESULT
    assert type(api.calls[0][1]) is SilentReporter
    edgenas.search(budget_ms=20, progress=True)
    assert type(api.calls[1][1]) is not SilentReporter
