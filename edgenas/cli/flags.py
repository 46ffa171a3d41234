"""Flags that commands share: the fields of Config, and numbers in a range."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace, _ArgumentGroup
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from edgenas.errors import UsageError
from edgenas.graph.ops import Shape
from edgenas.workflows.config import ABOUT, HERE, MEANS, MOVABLE, Config, flag, resolve
from edgenas.workflows.named import name_plugins
from edgenas.workflows.values import number, pairs

PLACEHOLDERS = {
    "budget_ms": "[NAME=]MS",
    "max_params": "N",
    "max_memory_mb": "MB",
    "max_file_mb": "MB",
    "minutes": "MINUTES",
    "wait_minutes": "MINUTES",
    "ray": "ADDRESS",
    "data_root": "PATH",
    "cache": "FOLDER",
    "device": "NAME",
    "output": "FOLDER",
    "reuse": "FOLDER",
    "validation_share": "SHARE",
}
OLD_FLAGS = {"image_size": ("--size",)}  # flags of earlier versions, which go on working
WORDS = {int: "N", float: "X", str: "NAME"}  # what stands for a value in the help, where no placeholder does
# As in workflows/kit_content.py, whose import `--help` does not wait for. A table for others needs 100 networks behind
# its intervals.
KIT_NETS, KIT_TESTS = 100, 50
KIT_PRECISION = "kit_precision"  # `precision` is a field of Config, which is of a search
CHOSEN_OPS, CHOSEN_NETS, CHOSEN_TESTS = 250, 50, 10
KIT_FLAGS = {"only": "--only", "ops": "--ops", "nets": "--nets", "tests": "--tests", KIT_PRECISION: "--precision"}
# Of the data set that a search without `--data` is for, so that tables and searches without flags go together.
DIGITS_SHAPE, DIGITS_CLASSES = (1, 32, 32), 10
# Of Config: how photos are read, which follows what says the data set.
PHOTO_SETTINGS = ("fit", "flip", "cache", "cache_size")
# Of Config: what says the space, and the images that it is for.
SPACE_SETTINGS = ("space", "pretrained", "weights", "data", "data_root", "image_size", "download")
# Of Config: what may be said beside a run folder. The run is about what it was begun with, and no default counts.
BESIDE_RUN = ("data", *MOVABLE, *ABOUT)
UNSAID: Mapping[str, Any] = MappingProxyType(dict.fromkeys((*BESIDE_RUN, *MEANS)))


def add_settings(
    parser: ArgumentParser | _ArgumentGroup, names: Sequence[str], defaults: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Add a flag for each of these fields of Config; what is not given is absent from the namespace.

    Args:
        parser: of a command.
        names: of the fields.
        defaults: by field, those that the help shows where they are not the fields' own.
    """
    # Types are texts in the fields themselves, as annotations are not evaluated. Values stay as they were typed: Config
    # reads and checks them, whether they come from flags, a file or Python. A default in the namespace would pass for
    # a value that was given, and win over that of `--config`.
    hints = get_type_hints(Config)
    for item in fields(Config):
        if item.name not in names or item.name == "budgets_ms":  # --budget-ms takes them too
            continue
        hint, text = hints[item.name], item.metadata["help"].replace("%", "%%")  # argparse formats help with %
        if item.name == "budget_ms":
            text += "; NAME=MS: on this device, by its latency table; again for more"
            parser.add_argument(
                flag(item.name), metavar=PLACEHOLDERS[item.name], action="append", default=SUPPRESS, help=text
            )
        elif item.metadata["read"] is not None:  # a mapping
            parser.add_argument(flag(item.name), metavar="NAME=VALUE", action="append", default=SUPPRESS, help=text)
        elif bool in (hint, *get_args(hint)):
            text += " (default: yes)" if item.default else ""
            parser.add_argument(flag(item.name), action=BooleanOptionalAction, default=SUPPRESS, help=text)
        else:
            default = defaults.get(item.name, item.default)
            text += "" if default is None else f" (default: {default})"
            kind = next(kind for kind in WORDS if kind in (hint, *get_args(hint)))
            word = PLACEHOLDERS.get(item.name, WORDS[kind])
            words = [flag(item.name), *OLD_FLAGS.get(item.name, ())]
            parser.add_argument(*words, metavar=word, default=SUPPRESS, help=text)


def add_beside_run(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add what may be said beside a run folder: where its images and weights are now, and what it must be about.

    What of it is not of edgenas must be said: a folder does not choose what code runs.
    """
    add_settings(parser, (*BESIDE_RUN, *MEANS), UNSAID)


def add_config_file(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add `--config FILE`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file of settings, `budget_ms = 20`; flags win"
    )


def settings(arguments: Namespace) -> Config:
    """Return the effective settings of a command line.

    Raises:
        UsageError: as `resolve`.
    """
    return resolve(given(arguments), getattr(arguments, "config", None))


def given(arguments: Namespace) -> dict[str, Any]:
    """Return the settings that a command line names, as written there; plugins among them may be loaded then.

    Raises:
        UsageError: two budgets without a name, or a mapping that is not NAME=VALUE.
    """
    names = {item.name for item in fields(Config)}
    found = {name: value for name, value in vars(arguments).items() if name in names}
    if "options" in found:
        found["options"] = pairs("--options", found["options"], "NAME=VALUE", "guards=off")
    name_plugins(found)
    return found | _budgets(found.pop("budget_ms", []))


def _budgets(texts: Sequence[str]) -> dict[str, Any]:
    """Return what `--budget-ms` was given, as settings."""
    # A number alone, or with the name of this machine, is the budget of the search; other names are further limits.
    plain = [text.removeprefix(f"{HERE}=") for text in texts if "=" not in text or text.startswith(f"{HERE}=")]
    named = [text for text in texts if "=" in text and not text.startswith(f"{HERE}=")]
    if len(plain) > 1:
        raise UsageError(f"--budget-ms: {plain[0]} and {plain[1]} are for one device; say of which, as NAME={plain[1]}")
    budgets: dict[str, Any] = {"budget_ms": plain[0]} if plain else {}
    return budgets | ({"budgets_ms": pairs("--budget-ms", named, "NAME=MS", "pixel3=20")} if named else {})


def add_input(parser: ArgumentParser) -> None:
    """Add the space, and `--shape` and `--classes`: the images that it is for, where they are not read."""
    add_settings(parser, SPACE_SETTINGS)
    parser.add_argument(
        "--shape",
        type=shape,
        metavar="CxHxW",
        help="channels, height and width of the images (default: 1x32x32, as digits; with --pretrained the network's)",
    )
    parser.add_argument(
        "--classes",
        type=ranged(int, 2, 100_000),
        metavar="N",
        help=f"number of classes (default: those of --data, else {DIGITS_CLASSES}; with --pretrained the network's)",
    )


def add_kit_scope(parser: ArgumentParser, *, of_run: bool = False) -> None:
    """Add what a kit's results may be checked against: the space, and the images that it is for.

    Args:
        parser: of a command.
        of_run: whether they may be of a run's finalists.
    """
    group = parser.add_argument_group("what the kit is of; a network or a space of your own must be named")
    add_settings(group, (*SPACE_SETTINGS, "teacher", *MEANS) if of_run else SPACE_SETTINGS, UNSAID)


def input_of(arguments: Namespace, config: Config) -> tuple[Shape, int]:
    """Return shape and classes of the images that the space of a command is for."""
    from edgenas.workflows.pretrained import input_of as of_config

    return of_config(config, arguments.shape, arguments.classes, (DIGITS_SHAPE, DIGITS_CLASSES))


def add_kit(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add `--only`, `--nets`, `--tests` and `--precision`: how much a kit measures. What is not given is None."""
    parser.add_argument(
        "--only",
        type=only,
        action="append",
        metavar="CHOICE=VALUE,...",
        help="keep these options of a choice, such as width=0.5,1; the fewer, the shorter the measurement",
    )
    parser.add_argument(
        "--ops",
        type=ranged(int, 20, 100_000),
        metavar="N",
        help="of a larger space only the N ops that tell most, the rest is estimated "
        f"(default: all; with --pretrained {CHOSEN_OPS})",
    )
    parser.add_argument(
        "--nets",
        type=ranged(int, 8, 1000),
        metavar="N",
        help=f"whole networks (default: {KIT_NETS}; with --pretrained {CHOSEN_NETS})",
    )
    parser.add_argument(
        "--tests",
        type=ranged(int, 0, 1000),
        metavar="N",
        help=f"networks that test the table (default: {KIT_TESTS}; with --pretrained {CHOSEN_TESTS})",
    )
    add_precision(parser)


def kit_choices(arguments: Namespace) -> dict[str, Any]:
    """Return what `add_kit` has parsed, as keywords of `KitOptions`."""
    return {
        "only": dict(arguments.only or ()),
        "nets": arguments.nets,
        "tests": arguments.tests,
        "ops": arguments.ops,
        "precisions": precisions(arguments),
    }


def add_precision(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add `--precision`; see `precisions`."""
    parser.add_argument("--precision", choices=("all", "fp32", "int8"), dest=KIT_PRECISION, help="(default: all)")


def precisions(arguments: Namespace) -> tuple[str, ...]:
    """Return the precisions that `--precision` stands for."""
    chosen = getattr(arguments, KIT_PRECISION)
    return ("fp32", "int8") if chosen in (None, "all") else (chosen,)


def add_known(parser: ArgumentParser) -> None:
    """Add `--from`: whose latency tables a new device is adapted from."""
    parser.add_argument(
        "--from",
        dest="known",
        action="append",
        metavar="DEVICE",
        help="source device, as `edgenas list devices` names it, or a table's file; again for more; all: every one "
        "that has enough rows in common (default: all)",
    )


def add_json(parser: ArgumentParser | _ArgumentGroup) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout, and nothing else")


def ranged(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], Any]:
    """Return a function for `type=` that reads a number in a range, both ends included."""

    def parse(text: str) -> float:
        try:
            return number(text, kind, low, high)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return parse


def only(words: str) -> tuple[str, list[str]]:
    """Read `width=0.5,1`, for `type=`: the choice's name and the texts of its options."""
    name, equals, values = words.partition("=")
    if not (name and equals and values):
        raise ArgumentTypeError(f"{words!r} is not CHOICE=VALUE,...; for example width=0.5,1")
    return name, values.split(",")


def shape(text: str) -> Shape:
    """Read `3x96x96`, for `type=`."""
    parts = text.lower().split("x")
    # `isdigit` alone takes digits of all scripts, and `int` alone takes `2_0` and ` 3`.
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= 4096 for part in parts):
        raise ArgumentTypeError(f"{text!r} is not a shape; expected channels x height x width, for example 3x96x96")
    channels, height, width = map(int, parts)
    return channels, height, width
