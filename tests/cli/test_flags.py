"""Settings: every field of Config is a flag, a keyword and a line of TOML."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import edgenas
from edgenas import errors
from edgenas.cli import flags
from edgenas.cli import main as cli
from edgenas.workflows import kit_content
from edgenas.workflows.config import Config, flag
from edgenas.workflows.toml import to_toml
from tests.cli.fakes import one_line

SAMPLES = {bool: True, int: "3", float: "0.25", str: "cpu"}
SPECIAL = {
    **{"recipe": "300", "ray": "auto", "preset": "mnasnet", "reward": "soft", "precision": "int8", "fit": "pad"},
    "controls": "ladder",
}
MAPPINGS = ("budgets_ms", "options")


@pytest.mark.parametrize("item", [i for i in fields(Config) if i.name not in MAPPINGS], ids=lambda item: item.name)
def test_every_setting_is_a_flag_and_a_keyword(searching, item, tmp_path):
    kind = next(kind for kind in SAMPLES if kind.__name__ in str(item.type))
    value = SPECIAL.get(item.name, SAMPLES[kind])
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "format.json").write_text('{"format": 2, "version": "0.2.0"}')
    needed = {"output": str(tmp_path)} if item.name == "resume" else {}
    words = [word for name, text in needed.items() for word in (flag(name), text)]
    words += [flag(item.name)] if kind is bool else [flag(item.name), value]
    assert cli.main(["search", "--quiet", *words]) == 0
    edgenas.search(**needed, **{item.name: value})
    by_flag, by_keyword = (getattr(config, item.name) for config in searching.configs)
    assert by_flag == by_keyword == (value if kind in (bool, str) else kind(value))


def test_options_of_a_strategy_are_given_one_by_one(searching):
    words = ["--options", "guards=off", "--options", "order=2"]
    assert cli.main(["search", "--budget-ms", "1", "--strategy", "darts", *words]) == 0
    edgenas.search(budget_ms=1, strategy="darts", options={"guards": "off", "order": "2"})
    assert [config.options for config in searching.configs] == 2 * [{"guards": "off", "order": "2"}]


@pytest.mark.parametrize("given", [["guards"], ["=off"], ["guards=on", "guards=off"]])
def test_options_that_are_none_are_refused(searching, given, capsys):
    assert cli.main(["search", *(word for text in given for word in ("--options", text))]) == 2
    assert "--options" in capsys.readouterr().err and not searching.calls


@pytest.mark.parametrize(
    "given, plain, named",
    [
        (["pixel3=2e1"], None, {"pixel3": 20.0}),
        (["20", "a/ort-1t-int8=3", "b=.5"], 20.0, {"a/ort-1t-int8": 3.0, "b": 0.5}),
        (["here=8", "pi5=20"], 8.0, {"pi5": 20.0}),
        (["a=b=3"], None, {"a=b": 3.0}),
    ],
)
def test_one_flag_takes_the_budgets_of_all_devices(searching, given, plain, named):
    assert cli.main(["search", *(word for text in given for word in ("--budget-ms", text))]) == 0
    edgenas.search(budget_ms={**({} if plain is None else {"here": plain}), **named})
    assert [(config.budget_ms, dict(config.budgets_ms)) for config in searching.configs] == 2 * [(plain, named)]


@pytest.mark.parametrize(
    "given, message",
    [
        (["20", "30"], "20 and 30 are for one device"),
        (["20", "here=30"], "20 and 30 are for one device"),
        (["a=1", "a=2"], "two values for a: 1 and 2"),
        (["=1"], "not NAME=MS"),
        (["a="], "from 0.001 to 60,000"),
        (["a=1e9"], "from 0.001 to 60,000"),
        (["a\0=1"], "zero byte"),
    ],
)
def test_budgets_that_are_none_are_refused(searching, capsys, given, message):
    assert cli.main(["search", *(word for text in given for word in ("--budget-ms", text))]) == 2
    line = one_line(capsys.readouterr())
    assert "--budget-ms" in line and message in line and not searching.calls


@pytest.mark.parametrize(
    "budget", ["0", "-1", "-0.5", "nan", "-nan", "inf", "-inf", "1e400", "-1e5", "2_0", "20ms", ""]
)
@pytest.mark.parametrize("joined", [True, False])
def test_a_bad_budget_names_flag_and_range(searching, capsys, budget, joined):
    words = [f"--budget-ms={budget}"] if joined else ["--budget-ms", budget]
    assert cli.main(["search", *words]) == 2
    assert one_line(capsys.readouterr()).startswith("edgenas: --budget-ms: ")
    assert not searching.calls


@pytest.mark.parametrize("budget", ["20ms", 0, float("nan")])
def test_the_same_from_python(searching, budget):
    with pytest.raises(errors.UsageError, match=r"--budget-ms: .* from 0\.001 to 60,000"):
        edgenas.search(budget_ms=budget)


def test_flags_win_over_the_file(searching, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('budget_ms = 20\nseed = 7\nint8 = false\n[budgets_ms]\n"pi5" = 30\n')
    assert cli.main(["search", "--config", str(file), "--seed", "0", "--int8", "--output", "runs/now"]) == 0
    assert searching.configs == [Config(budget_ms=20, seed=0, int8=True, budgets_ms={"pi5": 30.0}, output="runs/now")]


def test_resuming_takes_the_settings_of_the_run(searching, tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(Config(budget_ms=5, trials=9)))
    (tmp_path / "format.json").write_text('{"format": 2, "version": "0.2.0"}')
    assert cli.main(["search", "--output", str(tmp_path), "--resume"]) == 0
    assert searching.configs == [Config(budget_ms=5, trials=9, output=str(tmp_path), resume=True)]


# Names that were, and what they are now.


def test_the_old_flag_of_the_image_size_goes_on_working(searching):
    assert cli.main(["search", "--size", "64"]) == cli.main(["search", "--image-size", "64"]) == 0
    assert [config.image_size for config in searching.configs] == [64, 64]


@pytest.mark.parametrize(
    "line, says",
    [
        ("size = 64", "'size' is named 'image_size' now"),
        ("statics = 2", "'statics' is named 'shape_choices' now"),
        ('preset = "tunas"', "--strategy tunas"),
        ('budgets_ms = ["pixel3=20"]', "a table of names and ms"),
        ('options = ["guards=off"]', "a table of names and words"),
        ("trails = 3", "did you mean 'trials'?"),
    ],
)
def test_a_file_of_older_settings_is_refused_with_the_new_name(searching, tmp_path, capsys, line, says):
    (tmp_path / "old.toml").write_text(f"budget_ms = 20\n{line}\n")
    assert cli.main(["search", "--config", str(tmp_path / "old.toml")]) == 2
    assert says in (line := one_line(capsys.readouterr())) and "old.toml" in line
    assert not searching.calls


# What help does not import is written twice; here it is held together.


def test_defaults_of_a_kit_are_those_of_the_workflow():
    names = ("KIT_NETS", "KIT_TESTS", "CHOSEN_OPS", "CHOSEN_NETS", "CHOSEN_TESTS")
    assert [getattr(flags, name) for name in names] == [getattr(kit_content, name) for name in names]


def test_defaults_of_the_input_are_those_of_the_functions():
    from edgenas.api import measure

    assert (flags.DIGITS_SHAPE, flags.DIGITS_CLASSES) == (measure.DIGITS_SHAPE, measure.DIGITS_CLASSES)


@pytest.mark.parametrize(
    "words, choices",
    [
        ([], dict(only={}, ops=None, nets=None, tests=None, precisions=("fp32", "int8"))),
        (
            ["--only", "width=0.5,1", "--only", "act=relu", "--tests", "0", "--precision", "int8"],
            dict(only={"width": ["0.5", "1"], "act": ["relu"]}, ops=None, nets=None, tests=0, precisions=("int8",)),
        ),
        (
            ["--nets", "8", "--precision", "all"],
            dict(only={}, ops=None, nets=8, tests=None, precisions=("fp32", "int8")),
        ),
    ],
)
def test_how_much_a_kit_measures(words, choices):
    parser = cli.Parser()
    flags.add_kit(parser)
    assert flags.kit_choices(parser.parse_args(words)) == choices


@pytest.mark.parametrize("text, parsed", [("3x96x96", (3, 96, 96)), ("1X28X30", (1, 28, 30))])
def test_shapes(text, parsed):
    assert flags.shape(text) == parsed


def test_a_path_is_one(searching):
    edgenas.search(data=Path("digits"))
    assert searching.configs[0].data == str(Path.cwd() / "digits")
