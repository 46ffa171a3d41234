"""Other budgets, devices and precisions on trained weights: nothing is trained again, nothing untrained delivered."""

import json
import math
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import edgenas
from edgenas.cli.main import main
from edgenas.errors import BudgetError, Interrupted, UsageError
from edgenas.exploration.study import read_trials
from edgenas.exporters.bundle import verify_bundle
from edgenas.system import plugins
from edgenas.system.file_index import INDEX
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import read_artefact, write_format
from edgenas.training.train import Scores
from edgenas.workflows.context import never
from edgenas.workflows.given import Given
from edgenas.workflows.inherit import inherit
from edgenas.workflows.result import Result
from edgenas.workflows.run_start import keep_config
from edgenas.workflows.setup import completed, run_in
from edgenas.workflows.source_run import DEFAULTS, settings, take_over
from edgenas.workflows.specialize import specialize
from edgenas.workflows.stages import finalists
from edgenas.workflows.stages.artefacts import Report
from edgenas.workflows.trained_run import open_trained_run
from tests._searched import BUDGET_MS, FEW, hashes

LARGER_MS, SMALLER_MS = 0.1, 0.022
INT8 = {"precision": "int8", "int8": True}


def specialized(source, folder, stop=never, **given):
    config = settings(source, {"budget_ms": LARGER_MS, "output": folder, **FEW, **given})
    return specialize(config, source, SilentReporter(), stop)


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """Whoever trains a supernet here fails."""

    def refuse(*arguments):
        raise AssertionError("a supernet is being trained")

    monkeypatch.setattr("edgenas.evaluators.supernet.sandwich", refuse)


@pytest.fixture(scope="module")
def larger(searched, tmp_path_factory):
    """A budget for which architectures fit that were never trained."""
    folder = tmp_path_factory.mktemp("runs") / "larger"
    return folder, specialized(searched, folder)


@pytest.mark.parametrize("given", [{"budget_ms": SMALLER_MS}, {**INT8, "strategy": "evolution"}])
def test_the_weights_stay_as_they_are(searched, tmp_path, given):
    before = hashes(searched)
    result = specialized(searched, tmp_path / "run", **given)
    assert hashes(searched) == before
    kept = hashes(tmp_path / "run" / "source")
    del kept[INDEX]  # of fewer files
    assert kept.items() <= before.items() and "supernet.pt" in kept
    assert not (tmp_path / "run" / "supernet.pt").exists()
    assert result.source == searched.name and verify_bundle(tmp_path / "run") == []
    assert result.precision == given.get("precision", "fp32")
    finished = open_trained_run(searched, SilentReporter())
    archs = [trial.arch for trial in read_trials(tmp_path / "run")]
    assert finished.trained.feasible(archs).all()
    assert result.predicted_high_ms <= given.get("budget_ms", LARGER_MS)
    implied = "budget_ms" in given  # by a smaller budget for the same table
    assert (result.limits == []) is implied


def test_what_was_not_trained_is_not_proposed(searched, larger):
    folder, result = larger
    finished = open_trained_run(searched, SilentReporter())
    space = finished.trained.space
    archs = [space.parse(result.arch), *(trial.arch for trial in read_trials(folder))]
    assert finished.trained.feasible(archs).all()
    assert finished.priced.costs.gate.many(space, archs).max() <= 1.5 * BUDGET_MS < LARGER_MS
    (limit,) = result.limits
    assert limit["allowed"] == pytest.approx(1.5 * BUDGET_MS) and limit["used"] <= limit["allowed"]
    (note,) = [note for note in read_artefact(folder, "report", Report).notes if "first run" in note]
    assert "trained at width" in note and "up to 0.045 ms on amd-epyc-zen4" in note


@contextmanager
def inheriting(source: Path, folder: Path):
    """Task, evaluator and context of a run on the weights of `source`, nothing of it done."""
    given = {"budget_ms": LARGER_MS, "output": str(folder), **FEW}
    config = completed(settings(source, given), Given())
    with run_in(config, SilentReporter(), never) as ctx:
        take_over(source, folder)
        keep_config(config, ctx)
        task, evaluator = inherit(config, Given(), ctx)
        assert task.inherited is not None and task.inherited.finalists
        yield replace(task, config=replace(config, final_epochs=None)), evaluator, ctx


def test_what_was_trained_to_the_end_there_is_begun_with(searched, tmp_path):
    """Shared weights know of finalists what these learned, and finalists that still fit stand for election again."""
    before = Result.from_json((searched / "result.json").read_text())
    with inheriting(searched, tmp_path / "run") as (task, evaluator, ctx):
        arch = next(iter(task.inherited.finalists))
        assert task.space.code(arch) == before.arch
        trained = open_trained_run(searched, SilentReporter()).finalists()[arch]
        assert all(map(torch.equal, evaluator.network(arch).parameters(), trained.parameters()))
        network = finalists.train_finalist(task, evaluator, ctx, arch, 0).network
    assert all(map(torch.equal, network.state_dict().values(), trained.state_dict().values())), "as it is"
    shared = open_trained_run(searched, SilentReporter()).evaluator().network(arch)
    assert not all(map(torch.equal, shared.parameters(), trained.parameters())), "the source is as it was"


@pytest.mark.parametrize(("accuracy", "passes", "learning_rate"), [(0.85, 1, 1.5e-3), (0.75, 3, 5e-3)])
def test_what_is_far_from_the_trained_accuracy_is_trained_for_longer(
    searched, tmp_path, monkeypatch, accuracy, passes, learning_rate
):
    with inheriting(searched, tmp_path / "run") as (task, evaluator, _):
        arch, best = next(iter(task.inherited.finalists.items()))
        monkeypatch.setattr(finalists, "_scored", lambda task, n: Scores(0.9 if n is best else accuracy, 1.0, 100))
        refining = finalists._refining(task, evaluator.network(arch))
        images = len(task.data.train)
    assert refining.learning_rate == learning_rate
    assert refining.epochs == max(passes, math.ceil(passes * 8_000 / images))


def test_the_table_is_that_of_the_source(searched, larger):
    assert (larger[0] / "table.csv").read_bytes() == (searched / "table.csv").read_bytes()


def test_weights_are_handed_on(searched, larger, tmp_path):
    result = specialized(larger[0], tmp_path / "run")
    assert result.source == "larger"
    assert hashes(tmp_path / "run" / "source") == hashes(larger[0] / "source")
    assert result.front == larger[1].front


def test_interrupted_and_resumed_it_finds_the_same(searched, larger, tmp_path, capsys):
    """The run that trained the weights may be gone by then."""
    source, asked = shutil.copytree(searched, tmp_path / searched.name), iter(range(12))
    with pytest.raises(Interrupted):
        specialized(source, tmp_path / "run", stop=lambda: next(asked, None) is None)
    shutil.rmtree(source)
    assert main(["specialize", "--output", str(tmp_path / "run"), "--resume", "--quiet", "--json"]) == 0
    result, whole = json.loads(capsys.readouterr().out), larger[1]
    free = {"bundle", "seconds"}
    assert {k: v for k, v in result.items() if k not in free} == {
        k: v for k, v in json.loads(whole.to_json()).items() if k not in free
    }


@pytest.mark.slow
def test_on_weights_that_a_strategy_of_ones_own_trained(tmp_path, monkeypatch, capsys):
    """It is named to open the weights, and is not the strategy that searches on them."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("from edgenas.strategies.tunas import Tunas\n\n\nclass Mine(Tunas):\n    pass\n")
    own = ["--data", "tests._few_digits", "--space", "tests._toys", "--quiet"]
    few = ["--budget-ms", str(BUDGET_MS), "--trials", "4", "--finalists", "1", "--final-epochs", "1", "--no-int8"]
    assert main(["search", *own, *few, "--strategy", "./mine.py", "--device", "amd-epyc-zen4", "--output", "run"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(plugins, "_NAMED", plugins._NAMED - {("strategies", str(Path("mine.py").resolve()))})
    again = ["specialize", "run", *own, *few, "--output", "new"]
    assert main(again) == 2
    assert capsys.readouterr().err.rstrip().endswith(f"edgenas {' '.join(again)} --strategy ./mine.py")
    assert main([*again, "--strategy", "./mine.py", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strategy"] == "predictor"
    assert main(["specialize", *own, "--output", "new", "--resume", "--strategy", "./mine.py"]) == 0


def test_the_summary_names_the_source(larger, capsys):
    assert main(["specialize", "--output", str(larger[0]), "--resume", "--quiet"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "on the weights of first run" in shown
    assert "that the weights were trained up to, on amd-epyc-zen4" in shown


def test_a_budget_below_what_was_trained_leaves_the_folder_free(searched, tmp_path):
    with pytest.raises(BudgetError, match=r"the fastest .*\. The weights are those of first run, trained at width"):
        specialized(searched, tmp_path / "run", budget_ms=0.005)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "given, message",
    [
        ({"trials": 0}, "--trials: 0 is out of range"),
        ({"strategy": "gdas"}, "--strategy gdas: it trains weights of its own"),
        ({"precision": "int4"}, "none of fp32, int8"),
    ],
)
def test_what_cannot_differ(searched, given, message):
    with pytest.raises(UsageError, match=message):
        edgenas.specialize(searched, budget_ms=1, **given)


@pytest.mark.parametrize(
    "device, before, given, expected",
    [
        (None, None, {}, (None, None)),
        (None, None, {"precision": "int8"}, (None, "int8")),
        ("pi5/onnxruntime-1t-int8", None, {}, ("pi5", "int8")),
        ("pi5/onnxruntime-1t-int8", None, {"precision": "fp32"}, ("pi5", "fp32")),
        ("pi5/onnxruntime-1t-int8", None, {"device": "pi4"}, ("pi4", None)),
        (None, "int8", {}, (None, "int8")),
    ],
)
def test_device_and_precision(tmp_path, device, before, given, expected):
    lines = [f"{name} = {value!r}\n" for name, value in (("device", device), ("precision", before)) if value]
    (tmp_path / "config.toml").write_text("".join(lines))
    write_format(tmp_path, "0.2.0")
    config = settings(tmp_path, given)
    assert (config.device, config.precision) == expected


@pytest.mark.parametrize(
    "words, message",
    [
        (["--budget-ms", "1"], "say whose weights"),
        (["nowhere", "--budget-ms", "1"], "nowhere holds no run"),
        (["--output", "{searched}", "--resume"], "begun by a search of its own"),
        (["{searched}", "--output", "{new}"], "say how many milliseconds"),
    ],
)
def test_bad_command_lines(searched, tmp_path, words, message, capsys):
    words = [word.format(searched=searched, new=tmp_path / "new") for word in words]
    assert main(["specialize", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, message",
    [({"seed": 1}, "--seed: it is that of"), ({"space": "mbconv"}, "--space mbconv: .* was begun with tests._toys")],
)
def test_what_the_weights_were_trained_for_cannot_differ(searched, given, message):
    with pytest.raises(UsageError, match=message):
        settings(searched, {"budget_ms": 1, **given})


def test_help_shows_the_defaults_of_the_workflow():
    from edgenas.cli import specialize as command

    assert command.DEFAULTS.items() <= DEFAULTS.items()
