"""Config: everything a run depends on, as one frozen record. Each field is a flag, a keyword and a line of TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from edgenas.errors import DamagedRun, UsageError
from edgenas.exploration.objective import FORMS
from edgenas.system.data_source import resolve as resolve_source
from edgenas.system.file_index import check
from edgenas.system.run_folder import CONFIG, check_format, is_run
from edgenas.system.text_file import read_text
from edgenas.training.settings import RECIPES
from edgenas.workflows import values
from edgenas.workflows.presets import CUTS, defaults_of, preset_settings

HERE = "here"  # stands for this machine, or the one of `device`, among budgets
FITS = ("crop", "squash", "pad")  # as in data/view.py, whose import `--help` does not wait for
# Where a run lives and works is not what it is: a resumed run may differ in these, and keeps none of them.
OF_START = ("output", "resume", "reuse", "workers", "ray", "wait_minutes")
# The place of images, weights and training may differ from machine to machine; what they are may not.
MOVABLE = ("data_root", "cache", "weights", "download", "train_device")
# What a run is about, and by what means it searches, may be said again beside its folder, and must then be the same.
# What of it is one's own has to be said: a run's folder does not choose what code runs.
ABOUT, MEANS = ("image_size", "pretrained", "teacher", "space"), ("strategy", "evaluator", "runtime")
# Old names of settings, which the files and calls of earlier versions may still use, and the new ones.
RENAMED = {"size": "image_size", "statics": "shape_choices"}
# An IPv6 address is in brackets. Ray itself would try for minutes to reach an address that is none.
_CLUSTER = re.compile(r"auto|(ray://)?([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", re.ASCII)


def _setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read: Callable[[str, Any], Any] | None = None,
) -> Any:
    """A field with its help text.

    Args:
        low, high: the range of a number.
        choices: the words that a text may be; empty for any.
        read: what checks a mapping, by the flag's name.
    """
    # The command line and the checks below both read this, so that a field is described in one place.
    metadata = {"help": text, "low": low, "high": high, "choices": choices, "read": read}
    # A dataclass takes no dict as a default: all its instances would share it.
    return (
        field(default_factory=dict, metadata=metadata) if default == {} else field(default=default, metadata=metadata)
    )


@dataclass(frozen=True)
class Config:
    """Settings of a run. None means: decided from the others, see each text.

    >>> import edgenas
    >>> edgenas.Config(budget_ms="20", budgets_ms={"pi5": 40}).budgets_ms
    {'pi5': 40.0}
    """

    budget_ms: float | None = _setting(
        None, "latency that the model must meet, in ms", low=1e-3, high=values.LARGEST_MS
    )
    budgets_ms: Mapping[str, float] = _setting(
        {}, "the same on further devices: NAME=20, again for more", read=values.budgets
    )
    max_params: float | None = _setting(
        None, "parameters that the model may have, for example 1e6", low=1e-3, high=10**12
    )
    max_memory_mb: float | None = _setting(None, "memory for activations, in 10^6 bytes", low=1e-3, high=10**6)
    max_file_mb: float | None = _setting(None, "size of the model's file, in 10^6 bytes", low=1e-3, high=10**6)
    data: str = _setting(
        "digits",
        "folder with a folder per class, .npz file, a name from `edgenas list data`, or package.module",
    )
    data_root: str | None = _setting(None, "folder or file of the data set, where --data is a name")
    image_size: int | None = _setting(None, "side in pixels that images of a folder are resized to", low=1, high=4096)
    fit: str | None = _setting(
        None,
        "how a photo becomes a square: crop (its middle), squash (all of it, distorted) or pad (all of it, between "
        "grey bars); default: crop, or squash where a crop would hide more than 30 % of the photos",
        choices=FITS,
    )
    flip: bool | None = _setting(
        None, "mirror photos left to right in training; default: yes, unless classes are named left and right"
    )
    cache: str | None = _setting(
        None,
        "folder for decoded photos, which later runs use too; default: edgenas-cache beside the run folder, or "
        "~/.cache/edgenas where that would be among the photos",
    )
    cache_size: int | None = _setting(
        None, "short side of decoded photos in pixels; default: 5/3 of the image size", low=1, high=4096
    )
    space: str = _setting("mbconv", "search space")
    pretrained: str | None = _setting(
        None,
        "trained network that is the space: efficientnet-lite0, torchvision:NAME, timm:NAME, or "
        "package.module:function of your own; `edgenas list pretrained` has them",
    )
    weights: str | None = _setting(None, "file with the weights of a network of your own: safetensors or a state dict")
    teacher: str | None = _setting(None, "larger trained network, whose soft labels are learned; default: --pretrained")
    preset: str | None = _setting(None, "known system: its strategy, evaluator and reward, where they are not given")
    strategy: str = _setting("random", f"search strategy; with --pretrained: {CUTS['strategy']}")
    evaluator: str | None = _setting(
        None, "how architectures are scored: supernet (shared weights), scratch or tabular; default: the strategy's own"
    )
    options: Mapping[str, str] = _setting(
        {},
        "an option of the strategy: NAME=VALUE, again for more; `edgenas list strategies` shows them",
        read=values.options,
    )
    scores: str | None = _setting(None, "npz file of known accuracies, for the evaluator tabular")
    scores_name: str | None = _setting(None, "which accuracies of that file; default: the only ones")
    reward: str | None = _setting(None, "reward form: hard, soft, absolute; default: the strategy's", choices=FORMS)
    seed: int = _setting(0, "seed of everything random", low=0, high=2**31 - 1)
    output: str | None = _setting(None, "run folder; default: runs/<date>-<time>")
    resume: bool = _setting(False, "go on with the run in --output where it was interrupted")
    reuse: str | None = _setting(None, "run folder whose profile, narrowed space and supernet are taken over")
    trials: int = _setting(100, "architectures to try", low=1, high=10**6)
    minutes: float | None = _setting(None, "of the whole run: stages get shares of what is left", low=0.001, high=1e6)
    batch: int = _setting(8, "architectures asked for at a time", low=1, high=10_000)
    prune: bool = _setting(True, "drop options that no good architecture has, before and during the search")
    workers: int = _setting(1, "trials that run at once on this machine; scratch only", low=1, high=1024)
    ray: str | None = _setting(None, "Ray cluster to run trials on: host:port, ray://host:port or auto; scratch only")
    device: str | None = _setting(None, "device, by its latency table in `edgenas list devices`; default: this machine")
    precision: str | None = _setting(
        None,
        "of the model that the budget is for: fp32 or int8; default: that of the device's table, fp32 here",
        choices=("fp32", "int8"),
    )
    threads: int = _setting(1, "threads of the runtime on the device", low=1, high=1024)
    runtime: str = _setting("onnxruntime", "runtime that the latency is of")
    wait_minutes: float = _setting(
        2.0,
        "minutes that a measurement waits for gaps on a busy machine, all of a run twice as long; then the search goes "
        "on with a wider interval",
        low=0.0,
        high=10**4,
    )
    train_device: str = _setting("auto", "where networks are trained: auto, cpu, cuda", choices=("auto", "cpu", "cuda"))
    shape_choices: int = _setting(
        2, f"combinations of width and resolution to keep; with --pretrained: {CUTS['shape_choices']}", low=1, high=1000
    )
    finalists: int = _setting(2, "architectures that are trained to the end", low=1, high=100)
    controls: str | None = _setting(
        None,
        "networks trained beside the finalists that needed no search: ladder (the whole trained network at a lower "
        "resolution), all (also uniform cuts, a random one that fills the budget, and the next smaller network of the "
        "family) or none; default: all up to 5,000 training photos, else ladder",
        choices=("ladder", "all", "none"),
    )
    supernet_epochs: int | None = _setting(
        None,
        "default: as many as see 6,000 images, at least 2; 0 for cuts of a trained network, which have its weights",
        low=0,
        high=10**5,
    )
    search_epochs: int | None = _setting(
        None,
        "of a strategy that trains weights; default: as many as its number of images takes, at least 4",
        low=1,
        high=10**5,
    )
    final_epochs: int | None = _setting(
        None, "default: as many as see 8,000 images, at least 6; with `specialize` at least 1", low=1, high=10**5
    )
    recipe: str = _setting("quick", "training of finalists: quick, 300 or darts600 (epochs)", choices=tuple(RECIPES))
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
    download: bool = _setting(False, "allow the data set, or the weights of a trained network, to be downloaded")
    strict: bool = _setting(False, "stop at the first unreadable image")

    def __post_init__(self) -> None:
        """Raises UsageError, naming the field and its range, for a value that is none."""
        hints = get_type_hints(type(self))
        for item in fields(self):
            value = getattr(self, item.name)
            checked = values.checked(flag(item.name), value, hints[item.name], item.metadata)
            object.__setattr__(self, item.name, checked)  # texts become numbers, though the record is frozen
        if self.ray is not None and not _CLUSTER.fullmatch(self.ray):
            raise UsageError(f"--ray: {self.ray!r} is none of host:port, ray://host:port, auto")
        if self.ray is not None and self.workers > 1:
            raise UsageError("--workers starts Ray on this machine and --ray joins a cluster; give one of them")


def flag(name: str) -> str:
    """Return the flag of a setting: `--image-size` of `image_size`; one flag takes the budgets of all devices."""
    name = "budget_ms" if name == "budgets_ms" else name
    return "--" + name.replace("_", "-")


def make_config(given: Mapping[str, Any]) -> Config:
    """Return the configuration of named values; those of the preset that is named, if any, where they are missing.

    Raises:
        UsageError: an unknown name, with the nearest one, or a value out of range.
    """
    known = [item.name for item in fields(Config)]
    for name in given:
        if name in RENAMED:
            raise UsageError(f"the setting {name!r} is named {RENAMED[name]!r} now; rename it")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `edgenas search --help`"
            raise UsageError(f"no setting {name!r}; {hint}")
    # Later entries win: what is given beside a preset is meant.
    return Config(**{**defaults_of(given), **preset_settings(given.get("preset")), **given})


def resolve(given: Mapping[str, Any], file: Path | None = None) -> Config:
    """Return the effective settings: what is given, before the file's, before those of the run that is to be resumed.

    Raises:
        UsageError: a name or value is wrong, the file cannot be read, or there is no run to resume.
    """
    named = {**(read_toml(file) if file else {}), **given}
    config = make_config(named)
    if not config.resume:
        return config
    if config.output is None:
        raise UsageError("--resume: say which run, with --output and its folder")
    folder = Path(config.output).expanduser()
    if not is_run(folder):
        raise UsageError(f"--resume: {config.output} holds no run; check --output, or leave --resume out to begin one")
    if "data" in named:  # a path stands for two settings of the run
        source = resolve_source(config.data, config.data_root)
        named |= {"data": source.plugin} | ({} if source.root is None else {"data_root": str(source.root)})
    return make_config({**read_run(folder), **named})


def read_run(folder: Path) -> dict[str, Any]:
    """Return the settings of the run in a folder.

    Raises:
        UsageError: it holds no run, or one of another format.
        DamagedRun: its settings cannot be read.
    """
    if not is_run(folder):
        raise UsageError(f"{folder} holds no run; give the folder that `edgenas search` wrote, its --output")
    check_format(folder)
    check(folder / CONFIG)
    # No run keeps those of its start: in a folder of others they could name a cluster.
    return {name: value for name, value in read_toml(folder / CONFIG, DamagedRun).items() if name not in OF_START}


def read_toml(path: Path, damaged: type[UsageError] = UsageError) -> dict[str, Any]:
    """Return the settings in a file.

    Raises:
        UsageError: a name or a value is none of a setting; `damaged`, if the file is no TOML.
    """
    try:
        found = tomllib.loads(read_text(path))
        make_config(found)
    except (OSError, ValueError, RecursionError) as error:  # unreadable, no TOML or no UTF-8, nested too deep
        raise damaged(f"{path}: cannot be read as a configuration ({error})") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return found


def resolve_data(config: Config) -> Config:
    """Return the configuration with the plugin that reads its data, and the place that it reads.

    Raises:
        UnknownName: `data` is no name and no path.
        UsageError: `data` is a path, and `data_root` is given too.
    """
    source = resolve_source(config.data, config.data_root)
    return replace(config, data=source.plugin, data_root=None if source.root is None else str(source.root))
