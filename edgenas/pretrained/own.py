"""A network of one's own, `package.module:function`, with its weights in a file."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgenas.errors import DataError, EnvironmentFault, UnknownName, UsageError
from edgenas.pretrained.base import Pretrained, Weights
from edgenas.system import plugins

SIDE = 224  # pixels, unless the network says otherwise
# ImageNet's, unless the network says otherwise.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys that checkpoints of trainings keep the weights under
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and its distributed form, and of torch.compile


def variants() -> tuple[str, ...]:
    """Return none: whoever has one knows its name."""
    return ()


def build(variant: str, *, download: bool = False, weights: Path | None = None) -> Pretrained:
    """Return the network that a function makes.

    A module may say what it takes, as attributes: `image_size` in pixels, and `mean` and `std`, one number a channel,
    of pixels in 0..1. Without them it is 224 pixels and ImageNet's.

    Args:
        variant: `package.module:function`; it is called without arguments and returns a torch.nn.Module.
        download: has no meaning here.
        weights: file with a state dict: safetensors, or what torch.save wrote.

    Raises:
        UnknownName: there is no such function.
        OwnCode: only data have named it.
        UsageError: it makes no network, or what the network says of its input is no size or no normalisation.
    """
    make = _function(variant)
    made = _made(make, variant)
    mean, std = _numbers(made, "mean", MEAN, variant), _numbers(made, "std", STD, variant)
    if len(mean) != len(std):
        raise UsageError(f"--pretrained {variant}: its mean has {len(mean)} entries, its std {len(std)}; give one each")
    if min(std) <= 0:
        raise UsageError(f"--pretrained {variant}: its std is {std}; pixels are divided by it, so give numbers above 0")
    return Pretrained(
        name=variant,
        module=lambda: _made(make, variant),
        weights=lambda: _read(variant, weights),
        is_here=weights is not None and weights.is_file(),
        source=str(weights) if weights else "",
        hint="--weights FILE",
        licence="your own",
        side=_side(made, variant),
        mean=mean,
        std=std,
    )


def _function(variant: str) -> Callable[[], Any]:
    plugins.check_named("pretrained", variant)
    module_name, _, name = variant.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a package beside the working directory
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # a foreign module may do anything while it is imported
        raise UnknownName(f"--pretrained {variant}: cannot import {module_name!r} ({error})") from error
    if not callable(found):
        raise UnknownName(f"--pretrained {variant}: {module_name} has no function {name!r}")
    return found  # type: ignore[no-any-return]


def _made(make: Callable[[], Any], variant: str) -> nn.Module:
    try:
        made = make()
    except Exception as error:  # a foreign function may do anything
        raise UsageError(f"--pretrained {variant}: it failed ({type(error).__name__}: {error})") from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"--pretrained {variant}: it returned {type(made).__name__}, not a torch.nn.Module")
    return made


def _side(made: nn.Module, variant: str) -> int:
    side = getattr(made, "image_size", SIDE)
    try:
        if int(side) == side and side > 0:
            return int(side)
    except (TypeError, ValueError, OverflowError):  # no number, or not a finite one
        pass
    raise UsageError(f"--pretrained {variant}: its image_size is {side!r}; give the side of the images in pixels")


def _numbers(made: nn.Module, name: str, default: tuple[float, ...], variant: str) -> tuple[float, ...]:
    found = getattr(made, name, default)
    try:
        numbers = tuple(float(value) for value in (found if isinstance(found, Iterable) else [found]))
        if numbers and all(map(math.isfinite, numbers)):
            return numbers
    except (TypeError, ValueError, RuntimeError):  # entries that are no numbers, or tensors of several
        pass
    raise UsageError(f"--pretrained {variant}: its {name} is {found!r}; give a finite number for each channel")


def _read(variant: str, file: Path | None) -> Weights:
    if file is None:
        raise UsageError(f"--pretrained {variant}: give its weights with --weights FILE, safetensors or a state dict")
    if file.is_dir():
        raise UsageError(f"--weights {file} is a folder; give the file in it: safetensors or a state dict")
    if not file.is_file():
        raise UsageError(f"--weights {file}: there is no such file; give the path of the weights")
    return _unwrapped(_read_safetensors(file) if file.suffix == ".safetensors" else _read_state_dict(file))


def _unwrapped(weights: Weights) -> Weights:
    """Return weights under the names of the network itself, without those of what it was wrapped in to be trained."""
    for prefix in PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            return _unwrapped({name.removeprefix(prefix): tensor for name, tensor in weights.items()})
    return weights


def _read_state_dict(file: Path) -> Weights:
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a file may hold anything
        raise DataError(
            f"--weights {file}: torch cannot read it as weights alone ({type(error).__name__}); save a state dict with "
            "torch.save(model.state_dict(), ...)"
        ) from error
    for key in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    tensors = isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    )
    if not tensors:
        raise DataError(f"--weights {file}: it holds no state dict; save one with torch.save(model.state_dict(), ...)")
    weights: Weights = found
    return weights


def _read_safetensors(file: Path) -> Weights:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise EnvironmentFault(
            f"--weights {file}: safetensors is not installed; run pip install safetensors"
        ) from error
    try:
        return dict(load_file(file))
    except Exception as error:  # a file may hold anything
        raise DataError(f"--weights {file}: it is no safetensors file ({error})") from error
