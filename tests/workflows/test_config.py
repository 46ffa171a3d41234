from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.errors import UnknownName, UsageError
from edgenas.system import plugins
from edgenas.system.file_index import write_kept
from edgenas.system.run_folder import write_format
from edgenas.workflows.config import Config, flag, make_config, read_run, read_toml, resolve
from edgenas.workflows.presets import PRESETS
from edgenas.workflows.toml import to_toml
from edgenas.workflows.values import number

BAD_BUDGETS = [0, -1, -0.0, math.nan, math.inf, -math.inf, 1e400, 10**400, 60_001, True]
BAD_BUDGETS += [
    "0",
    "-5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "2_0",
    "20ms",
    "20 ",
    "",
    "0x14",
    "٢٠",
    [20],
    {"ms": 20},
    b"20",
]


@pytest.mark.parametrize("budget", BAD_BUDGETS, ids=repr)
def test_a_bad_budget_is_refused_naming_flag_and_range(budget):
    with pytest.raises(UsageError, match=r"^--budget-ms: .*from 0\.001 to 60,000"):
        make_config({"budget_ms": budget})


@pytest.mark.parametrize(
    "line", ["0", "-1", "nan", "inf", "-inf", "1e400", '"2_0"', '"20ms"', "true", "[20]", "2024-01-01"]
)
def test_a_bad_budget_in_a_file_names_the_file_too(tmp_path, line):
    file = tmp_path / "run.toml"
    file.write_text(f"budget_ms = {line}\n")
    with pytest.raises(UsageError, match=r"run\.toml: --budget-ms: .*from 0\.001 to 60,000"):
        resolve({}, file)


@pytest.mark.parametrize(
    "budget, ms", [(20, 20.0), ("20", 20.0), ("2e1", 20.0), ("+.5", 0.5), (np.float32(2), 2.0), (Fraction(1, 2), 0.5)]
)
def test_numbers_and_their_texts_are_taken(budget, ms):
    config = make_config({"budget_ms": budget})
    assert config.budget_ms == ms and type(config.budget_ms) is float


def test_a_number_of_parameters_is_taken_as_it_is_written():
    assert make_config({"max_params": "1e6"}).max_params == 1e6
    assert "max_params = 1000000.0\n" in to_toml(make_config({"max_params": "1e6"}))


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("max_params", "0", "from 0.001 to 1,000,000,000,000"),
        ("trials", 2.5, "whole number from 1 to 1,000,000"),
        ("trials", "0", "out of range"),
        ("threads", True, "not a number"),
        ("validation_share", 0.9, "from 0.01 to 0.5"),
        ("int8", "yes", "yes or no"),
        ("resume", 1, "yes or no"),
        ("data", 3, "not a text"),
        ("space", None, "not a text"),
        ("output", "", "empty"),
        ("output", "a\0b", "zero byte"),
        ("output", "\udc80", "UTF-8"),
        ("train_device", "tpu", "auto, cpu, cuda"),
        ("reward", "softer", "hard, soft, absolute"),
        ("budgets_ms", "pixel3=20", "not a table"),
        ("budgets_ms", ["pixel3=20"], "not a table"),
        ("budgets_ms", {"pixel3": "fast"}, "pixel3=fast.*not a number"),
        ("options", ["guards=off"], "not a table"),
        ("options", {"guards": 0}, "guards: 0 is not a text"),
        ("workers", 0, "from 1 to 1,024"),
        *(
            ("ray", bad, "host:port, ray://host:port, auto")
            for bad in ("local", "host", "host:", "ray://auto", ":6379", "http://a:1")
        ),
    ],
)
def test_each_kind_of_setting_is_checked(name, value, message):
    with pytest.raises(UsageError, match=message) as caught:
        make_config({name: value})
    assert flag(name) in str(caught.value)


@pytest.mark.parametrize("address", ["auto", "10.0.0.7:6379", "head.local:6379", "ray://head:10001", "[::1]:6379"])
def test_addresses_of_a_cluster(address):
    assert make_config({"ray": address}).ray == address
    with pytest.raises(UsageError, match="--workers .* --ray .* give one"):
        make_config({"ray": address, "workers": 2})


@given(st.floats(allow_nan=False), st.floats(-1e6, 0), st.floats(1e-9, 1e6))
def test_a_number_is_taken_exactly_if_it_is_in_range(value, low, high):
    if low <= value <= high:
        assert number(value, float, low, high) == number(repr(value), float, low, high) == value
    else:
        with pytest.raises(ValueError):
            number(value, float, low, high)


def test_a_preset_stands_for_settings_and_gives_way_to_those_given(tmp_path):
    config = resolve({"preset": "mnasnet"})
    assert (config.strategy, config.evaluator, config.reward) == ("reinforce", "scratch", "soft")
    path = tmp_path / "settings.toml"
    path.write_text('preset = "mnasnet"\nevaluator = "supernet"\n')
    assert resolve({"reward": "hard"}, path) == make_config(
        {"preset": "mnasnet", "strategy": "reinforce", "evaluator": "supernet", "reward": "hard"}
    )
    with pytest.raises(UnknownName, match="mnasnet"):
        resolve({"preset": "mnasnot"})


def test_every_preset_names_plugins():
    for preset in PRESETS.values():
        config = make_config(preset.settings)
        plugins.check("strategies", config.strategy)
        plugins.check("evaluators", config.evaluator)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(UsageError, match="no setting 'budgt_ms'; did you mean 'budget_ms'"):
        make_config({"budgt_ms": 20})
    with pytest.raises(UsageError, match="no setting 'qqq'"):
        make_config({"qqq": 1})


@given(
    st.builds(
        Config,
        budget_ms=st.none() | st.floats(0.001, 60_000),
        data=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        seed=st.integers(0, 2**31 - 1),
        int8=st.booleans(),
        output=st.none() | st.just(Path("a b/ü\n")),
        budgets_ms=st.dictionaries(st.sampled_from(["a/b", 'q"=', "ü"]), st.floats(0.001, 60_000)),
        options=st.dictionaries(st.sampled_from(["guards", "warm-up"]), st.sampled_from(["on", 'o"ff'])),
    )
)
def test_a_configuration_survives_its_file(tmp_path_factory, config):
    file = tmp_path_factory.mktemp("config") / "config.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert make_config(read_toml(file)) == config


@pytest.mark.parametrize(
    "content", [b"budget_ms = ", b"\xff\xfe", b"a = " + 5000 * b"9", b"a = " + 3000 * b"[", b"seed = 1\nseed = 2"]
)
def test_a_file_that_is_no_toml_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "run.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"run\.toml: cannot be read as a configuration"):
        read_toml(file)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_toml(path)


def test_what_is_given_wins_over_the_file_and_both_over_the_run_to_resume(tmp_path):
    begun = Config(budget_ms=5, seed=1, trials=11, output="elsewhere")
    (tmp_path / "config.toml").write_text(to_toml(begun))
    write_format(tmp_path, "0.2.0")
    file = tmp_path / "more.toml"
    file.write_text("seed = 2\nthreads = 2\n")
    config = resolve({"resume": True, "output": str(tmp_path), "threads": 3}, file)
    assert config == replace(begun, seed=2, threads=3, output=str(tmp_path), resume=True)


def test_without_resume_an_earlier_run_decides_nothing(tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(Config(seed=1)))
    assert resolve({"output": str(tmp_path)}).seed == Config().seed


def test_a_run_folder_does_not_say_where_a_run_works(tmp_path):
    write_format(tmp_path, "1")
    write_kept(tmp_path / "config.toml", b'budget_ms = 5.0\nray = "foreign.example:10001"\nwait_minutes = 9\n')
    assert read_run(tmp_path) == {"budget_ms": 5.0}


def test_resuming_needs_a_run(tmp_path):
    with pytest.raises(UsageError, match="--output"):
        resolve({"resume": True})
    with pytest.raises(UsageError, match="holds no run"):
        resolve({"resume": True, "output": str(tmp_path)})


def test_every_setting_says_what_it_is():
    for item in fields(Config):
        assert item.metadata["help"], item.name


@pytest.mark.parametrize("old, new", [("size", "image_size"), ("statics", "shape_choices")])
def test_an_old_key_is_refused_naming_the_new_one(tmp_path, old, new):
    file = tmp_path / "run.toml"
    file.write_text(f"{old} = 2\n")
    with pytest.raises(UsageError, match=f"run.toml: the setting '{old}' is named '{new}' now"):
        resolve({}, file)


@pytest.mark.parametrize("key", ['budgets_ms = ["pi5=20"]', 'options = ["guards=off"]'])
def test_an_old_list_is_refused_showing_the_new_form(tmp_path, key):
    file = tmp_path / "run.toml"
    file.write_text(f"{key}\n")
    with pytest.raises(UsageError, match="is not a table of names and .*, for example {"):
        resolve({}, file)


def test_a_path_given_again_resumes_a_run_on_that_folder(tmp_path):
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    run.mkdir()
    (run / "config.toml").write_text(to_toml(Config(budget_ms=5, data="folder", data_root=str(photos))))
    write_format(run, "0.2.0")
    config = resolve({"resume": True, "output": str(run), "data": str(photos)})
    assert (config.data, config.data_root) == ("folder", str(photos))
