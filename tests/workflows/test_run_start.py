"""A run's configuration is kept, and a refused run leaves its folder free."""

import json
from fnmatch import fnmatch

import pytest

from edgenas.errors import BudgetError, EnvironmentFault, Interrupted, UsageError
from edgenas.system.file_index import GUARDED, INDEX, State, begin, state_of
from edgenas.system.progress import SilentReporter
from edgenas.system.run_folder import CONFIG, check_format
from edgenas.workflows.config import make_config
from edgenas.workflows.context import never
from edgenas.workflows.run_start import REUSED, RUN_FILES, SPREAD, keep_config, roll_back_if_refused
from edgenas.workflows.setup import run_in

OTHERS = [
    ({"seed": 1}, "--seed 1: .* was begun with 0; leave it out, or use a new --output"),
    ({"fit": "pad"}, "--fit pad: .* was begun without one; leave it out, or use a new --output"),
    ({"strict": True}, "--strict yes: .* was begun with no; leave it out"),
    ({"budget_ms": 2}, r"--budget-ms 2.0: .* was begun with 1.0; leave it out"),
]


def test_a_resumed_run_needs_the_same_settings(tmp_path):
    config = make_config({"budget_ms": 1, "output": tmp_path})
    with run_in(config, SilentReporter(), never) as ctx:
        assert keep_config(config, ctx) is True
    check_format(tmp_path)
    again = make_config({"budget_ms": 1, "output": tmp_path, "resume": True, "workers": 2, "cache": "elsewhere"})
    with run_in(again, SilentReporter(), never) as ctx:
        assert keep_config(again, ctx) is False, "where it works is not what it is"
        for changes, message in OTHERS:
            with pytest.raises(UsageError, match=message):
                keep_config(make_config({"budget_ms": 1, "output": tmp_path, "resume": True, **changes}), ctx)


def test_a_refused_run_is_rolled_back_and_a_resumed_one_is_not(tmp_path):
    for resume in (False, True):
        folder = tmp_path / str(resume)
        config = make_config({"budget_ms": 1, "output": folder, "resume": resume})
        with run_in(config, SilentReporter(), never) as ctx, pytest.raises(BudgetError):
            with roll_back_if_refused(config, ctx):
                keep_config(config, ctx)
                (folder / "device-1.csv").write_text("a table")
                raise BudgetError("nothing fits")
        assert folder.exists() is resume


@pytest.mark.parametrize(
    "error, measured, goes_on",
    [
        (EnvironmentFault("no GPU"), False, False),
        (ValueError("a space of one's own"), False, False),
        (EnvironmentFault("the disk is full"), True, True),
        (BudgetError("nothing fits"), True, False),
        (Interrupted("by a signal"), False, True),
    ],
)
def test_only_what_can_be_gone_on_with_stays(tmp_path, error, measured, goes_on):
    folder = tmp_path / "run"
    config = make_config({"budget_ms": 1, "output": folder})
    with pytest.raises(type(error)), run_in(config, SilentReporter(), never) as ctx:
        with roll_back_if_refused(config, ctx):
            keep_config(config, ctx)
            if measured:
                (folder / f"{SPREAD}.csv").write_text("a table")
            raise error
    assert (folder / CONFIG).exists() is goes_on and folder.exists() is goes_on


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "notes").write_text("mine")
    config = make_config({"budget_ms": 1, "output": tmp_path})
    with pytest.raises(BudgetError), run_in(config, SilentReporter(), never) as ctx:
        with roll_back_if_refused(config, ctx):
            keep_config(config, ctx)
            raise BudgetError("nothing fits")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "name", ["bounds.json", "source/main.py", "device-1.csv", "model.onnx", "finalist-0.pt", "report.json"]
)
def test_a_run_is_not_begun_where_it_would_write_over_somebodys_file(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    config = make_config({"budget_ms": 1, "output": tmp_path})
    with run_in(config, SilentReporter(), never) as ctx:
        with pytest.raises(UsageError, match=f"{name.partition('/')[0]} is there, which a run would write over"):
            with roll_back_if_refused(config, ctx):
                keep_config(config, ctx)
    assert contents(tmp_path) == before


def test_every_file_of_a_run_has_a_name_that_is_known_to_be_a_runs(searched):
    names = [path.name for path in searched.iterdir()]
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in RUN_FILES)] == []


def test_what_a_killed_start_has_left_goes_and_nothing_else(tmp_path):
    (tmp_path / "notes.json").write_text("mine")
    before = contents(tmp_path)
    begin(tmp_path)
    (tmp_path / "source.new").mkdir()
    for name in ("source.new/supernet.pt", "supernet.pt", "bounds.json", CONFIG):
        (tmp_path / name).write_text("of the killed one")
    config = make_config({"budget_ms": 1, "output": tmp_path})
    with pytest.raises(BudgetError), run_in(config, SilentReporter(), never) as ctx:
        with roll_back_if_refused(config, ctx):
            assert {path.name for path in tmp_path.iterdir()} == {"notes.json", INDEX, "run.lock"}
            raise BudgetError("nothing fits")
    assert contents(tmp_path) == before


def test_of_what_is_there_a_new_run_takes_over_what_it_reuses_alone(searched, tmp_path):
    (tmp_path / "notes.json").write_text("mine")
    config = make_config({"budget_ms": 1, "output": tmp_path, "reuse": searched})
    with run_in(config, SilentReporter(), never) as ctx, roll_back_if_refused(config, ctx):
        keep_config(config, ctx)
    copied = [name for name in REUSED if (searched / name).exists() and not name.endswith(GUARDED)]
    assert set(json.loads((tmp_path / INDEX).read_text())["files"]) == {*copied, CONFIG, "format.json"}
    assert copied and {state_of(tmp_path / name) for name in copied} == {State.WHOLE}
    assert state_of(tmp_path / "notes.json") is State.NEW


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"space": "nasbench201"}, "--space nasbench201: .* was begun with mbconv; .* use a new --output"),
        ({"strategy": "gdas"}, "--strategy gdas: .* was begun with"),
        ({"data": "digits"}, "--data digits: .* was begun with"),
    ],
)
def test_a_run_of_another_space_strategy_or_data_set_is_not_gone_on_with(tmp_path, changes, message):
    begun = {"budget_ms": 1, "space": "mbconv", "strategy": "random", "data": "fashion-mnist", "output": tmp_path}
    config = make_config(begun)
    with run_in(config, SilentReporter(), never) as ctx:
        keep_config(config, ctx)
        with pytest.raises(UsageError, match=message):
            keep_config(make_config({**begun, "resume": True, **changes}), ctx)
