"""Config: everything a run depends on, as one frozen record. Each field is a flag, a keyword and a line of TOML."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from edgenas.errors import UsageError
from edgenas.exploration.objective import FORMS
from edgenas.system.run_folder import CONFIG
from edgenas.training.settings import RECIPES
from edgenas.workflows.presets import preset_settings

LARGEST_MS = 60_000.0
_CLUSTER = re.compile(r"auto|(ray://)?([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _setting(default: Any, text: str, *, low: float | None = None, high: float | None = None, read: Any = None) -> Any:
    """A field with its help text; for numbers, the range that is allowed; for a list, what reads it."""
    return field(default=default, metadata={"help": text, "low": low, "high": high, "read": read})


@dataclass(frozen=True)
class Config:
    """Settings of a run. None means: decided from the others, see each text."""

    budget_ms: float | None = _setting(None, "latency that the model must meet, in ms", low=1e-3, high=LARGEST_MS)
    budgets_ms: tuple[str, ...] = _setting(
        (), "the same on further devices: NAME=20, again for more", read=lambda name, value: _budgets(name, value)
    )
    max_params: float | None = _setting(
        None, "parameters that the model may have, for example 1e6", low=1e-3, high=10**12
    )
    max_memory_mb: float | None = _setting(None, "memory for activations, in 10^6 bytes", low=1e-3, high=10**6)
    max_file_mb: float | None = _setting(None, "size of the model's file, in 10^6 bytes", low=1e-3, high=10**6)
    data: str = _setting("digits", "data set: a name from `edgenas list data`, or package.module")
    data_root: str | None = _setting(None, "folder or file of the data set")
    size: int | None = _setting(None, "side in pixels that images of a folder are resized to", low=1, high=4096)
    space: str = _setting("mbconv", "search space")
    preset: str | None = _setting(None, "known system: its strategy, evaluator and reward, where they are not given")
    strategy: str = _setting("random", "search strategy")
    evaluator: str | None = _setting(
        None, "how architectures are scored: supernet (shared weights), scratch or tabular; default: the strategy's own"
    )
    options: tuple[str, ...] = _setting(
        (),
        "an option of the strategy: NAME=VALUE, again for more; see its file",
        read=lambda name, value: _options(name, value),
    )
    scores: str | None = _setting(None, "npz file of known accuracies, for the evaluator tabular")
    scores_name: str | None = _setting(None, "which accuracies of that file; default: the only ones")
    reward: str | None = _setting(None, "reward form: hard, soft or absolute; default: the strategy's own")
    seed: int = _setting(0, "seed of everything random", low=0, high=2**31 - 1)
    output: str | None = _setting(None, "run folder; default: runs/<date>-<time>")
    resume: bool = _setting(False, "go on with the run in --output where it was interrupted")
    reuse: str | None = _setting(None, "run folder whose profile, narrowed space and supernet are taken over")
    trials: int = _setting(100, "architectures to try", low=1, high=10**6)
    minutes: float | None = _setting(None, "stop the search after this time on the clock", low=0.001, high=1e6)
    batch: int = _setting(8, "architectures asked for at a time", low=1, high=10_000)
    prune: bool = _setting(True, "drop options that no good architecture has, before and during the search")
    workers: int = _setting(1, "trials that run at once on this machine; scratch only", low=1, high=1024)
    ray: str | None = _setting(None, "Ray cluster to run trials on: host:port, ray://host:port or auto; scratch only")
    device: str | None = _setting(None, "device, by its latency table in `edgenas list devices`; default: this machine")
    precision: str | None = _setting(
        None, "of the model that the budget is for: fp32 or int8; default: that of the device's table, fp32 here"
    )
    threads: int = _setting(1, "threads of the runtime on the device", low=1, high=1024)
    runtime: str = _setting("onnxruntime", "runtime that the latency is of")
    train_device: str = _setting("auto", "where networks are trained: auto, cpu, cuda")
    statics: int = _setting(2, "combinations of static choices (width, resolution) to keep", low=1, high=1000)
    finalists: int = _setting(2, "architectures that are trained to the end", low=1, high=100)
    supernet_epochs: int | None = _setting(None, "default: as many as see 6,000 images, at least 2", low=1, high=10**5)
    search_epochs: int | None = _setting(
        None,
        "of a strategy that trains weights; default: as many as see the images that its file says, at least 4",
        low=1,
        high=10**5,
    )
    final_epochs: int | None = _setting(
        None, "default: as many as see 8,000 images, at least 6; with `specialize` at least 1", low=1, high=10**5
    )
    recipe: str = _setting("quick", "how finalists are trained: quick, 300 or darts600 (epochs)")
    ghost_batch: int | None = _setting(
        None,
        "images that batch norm sees at once; with it, one process and several of torchrun train alike; default: all "
        "that a process has of a batch",
        low=2,
        high=10**5,
    )
    scratch_epochs: int | None = _setting(None, "default: as many as see 20,000 images, at least 1", low=1, high=10**5)
    validation_share: float = _setting(0.1, "share of the training images kept for choosing", low=0.01, high=0.5)
    int8: bool = _setting(True, "also make and measure an int8 model")
    download: bool = _setting(False, "allow the data set to be downloaded")
    strict: bool = _setting(False, "stop at the first unreadable image")

    def __post_init__(self) -> None:
        """Raises UsageError, naming the field and its range, for a value that is none."""
        hints = get_type_hints(type(self))
        for item in fields(self):
            value = getattr(self, item.name)
            checked = _checked(flag(item.name), value, hints[item.name], item.metadata)
            object.__setattr__(self, item.name, checked)
        if self.train_device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--train-device: {self.train_device!r} is none of auto, cpu, cuda")
        if self.precision not in (None, "fp32", "int8"):
            raise UsageError(f"--precision: {self.precision!r} is none of fp32, int8")
        if self.recipe not in RECIPES:
            raise UsageError(f"--recipe: {self.recipe!r} is none of {', '.join(RECIPES)}")
        if self.reward is not None and self.reward not in FORMS:
            raise UsageError(f"--reward: {self.reward!r} is none of {', '.join(FORMS)}")
        if self.ray is not None and not _CLUSTER.fullmatch(self.ray):
            raise UsageError(f"--ray: {self.ray!r} is none of host:port, ray://host:port, auto")
        if self.ray is not None and self.workers > 1:
            raise UsageError("--workers starts Ray on this machine and --ray joins a cluster; give one of them")

    @property
    def device_budgets(self) -> list[tuple[str, float]]:
        """Name and ms of each of `budgets_ms`."""
        pairs = (text.rpartition("=") for text in self.budgets_ms)
        return [(name, float(ms)) for name, _, ms in pairs]

    def seeing(self, images: int, at_least: int, train_images: int) -> int:
        """Epochs that show about so many images."""
        return max(at_least, math.ceil(images / train_images))


def flag(name: str) -> str:
    """`budget_ms` as `--budget-ms`, which takes the budgets of all devices."""
    name = "budget_ms" if name == "budgets_ms" else name
    return "--" + name.replace("_", "-")


def make_config(values: Mapping[str, Any]) -> Config:
    """Config of named values; those of the preset that is named, if any, where they are missing.

    Raises:
        UsageError: an unknown name, with the nearest one, or a value out of range.
    """
    known = [item.name for item in fields(Config)]
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `edgenas search --help`"
            raise UsageError(f"no setting {name!r}; {hint}")
    return Config(**{**preset_settings(values.get("preset")), **values})


def resolve(given: Mapping[str, Any], file: Path | None = None) -> Config:
    """The effective settings: what is given, before the file's, before those of the run that is to be resumed.

    Raises:
        UsageError: a name or value is wrong, the file cannot be read, or there is no run to resume.
    """
    values = {**(read_toml(file) if file else {}), **given}
    config = make_config(values)
    if not config.resume:
        return config
    if config.output is None:
        raise UsageError("--resume: say which run, with --output and its folder")
    begun = Path(config.output).expanduser() / CONFIG
    if not begun.is_file():
        raise UsageError(f"--resume: {config.output} holds no run; check --output, or leave --resume out to begin one")
    return make_config({**read_toml(begun), **values})


def read_toml(path: Path) -> dict[str, Any]:
    """Settings of a configuration file. Raises UsageError, naming the file, if it is not TOML or not of settings."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        make_config(values)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as a configuration ({error})") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return values


def to_toml(config: Config) -> str:
    """The effective configuration; what is None is left out."""
    lines = []
    for item in fields(config):
        value = getattr(config, item.name)
        if value is not None:
            lines.append(f"{item.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = "".join(c if c >= " " and c not in '"\\\x7f' else f"\\u{ord(c):04x}" for c in value)
        return f'"{escaped}"'
    return repr(value)


def _checked(name: str, value: Any, hint: Any, metadata: Mapping[str, Any]) -> Any:
    """The value in the field's type, within its range."""
    if get_origin(hint) is tuple:
        return metadata["read"](name, value)
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    kind = kinds[0]
    if value is None and len(get_args(hint)) > 1:
        return None
    try:
        if kind in (int, float):
            return number(value, kind, metadata["low"], metadata["high"])
        if kind is str:
            return _text(value)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error
    if not isinstance(value, kind):
        raise UsageError(f"{name}: {value!r} is not yes or no (true or false in TOML)")
    return value


def _budgets(name: str, value: Any) -> tuple[str, ...]:
    """Texts `NAME=20`, their numbers as Python writes them. Raises UsageError for anything else, or a name twice."""
    found = {}
    for device, ms in _pairs(name, value, "NAME=MS", "pixel3=20").items():
        try:
            found[device] = number(ms, float, 1e-3, LARGEST_MS)
        except ValueError as error:
            raise UsageError(f"{name} {f'{device}={ms}'!r}: {error}") from error
    return tuple(f"{device}={ms!r}" for device, ms in found.items())


def _options(name: str, value: Any) -> tuple[str, ...]:
    """Texts `NAME=VALUE`. Raises UsageError for anything else, or a name twice."""
    return tuple(f"{option}={text}" for option, text in _pairs(name, value, "NAME=VALUE", "guards=off").items())


def _pairs(name: str, value: Any, form: str, example: str) -> dict[str, str]:
    """What is named by each text of a list. Raises UsageError for anything else, or a name twice."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise UsageError(f'{name}: {value!r} is not a list of {form}, for example ["{example}"]')
    found: dict[str, str] = {}
    for text in value:
        key, equals, rest = text.rpartition("=")
        if not (key and equals):
            raise UsageError(f"{name}: {text!r} is not {form}, for example {example}")
        if key in found:
            raise UsageError(f"{name}: two values for {key}: {found[key]} and {rest}; leave one out")
        try:
            found[_text(key)] = rest
        except ValueError as error:
            raise UsageError(f"{name} {text!r}: {error}") from error
    return found


def number(value: Any, kind: type[int] | type[float], low: float, high: float) -> float:
    """A number, or the text of one, as `kind`. Raises ValueError, naming the range, for anything else."""
    wanted = f"expected {'a whole number' if kind is int else 'a number'} from {low:,} to {high:,}"
    parsed = float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
    is_number = isinstance(parsed, Real) and not isinstance(parsed, bool)
    if not is_number or parsed != parsed:  # NaN differs from itself
        raise ValueError(f"{value!r} is not a number; {wanted}")
    if not low <= parsed <= high:
        raise ValueError(f"{value!r} is out of range; {wanted}")
    if kind is int and parsed % 1:
        raise ValueError(f"{value!r} is not whole; {wanted}")
    return kind(parsed)


def _text(value: Any) -> str:
    """Text that a file name and a configuration file can hold. Raises ValueError for anything else."""
    text = str(value) if isinstance(value, Path) else value
    if not isinstance(text, str):
        raise ValueError(f"{value!r} is not a text")
    if not text:
        raise ValueError("the text is empty; leave the setting out instead")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"{value!r} holds a zero byte, or is not UTF-8; rename it")
    return text
