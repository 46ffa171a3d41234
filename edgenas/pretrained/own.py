"""A network of one's own, `package.module:function`, with its weights in a file."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgenas.errors import DataError, EnvironmentFault, UnknownName, UsageError
from edgenas.pretrained.base import Pretrained, Weights

SIDE = 224  # pixels, unless the network says otherwise
# ImageNet's, unless the network says otherwise.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys that checkpoints of trainings keep the weights under


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
    """
    make = _function(variant)
    made = _made(make, variant)
    return Pretrained(
        name=variant,
        module=lambda: _made(make, variant),
        weights=lambda: _read(variant, weights),
        is_here=weights is not None and weights.is_file(),
        source=str(weights) if weights else "",
        hint="--weights FILE",
        licence="your own",
        side=int(getattr(made, "image_size", SIDE)),
        mean=tuple(getattr(made, "mean", MEAN)),
        std=tuple(getattr(made, "std", STD)),
    )


def _function(variant: str) -> Callable[[], Any]:
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


def _read(variant: str, file: Path | None) -> Weights:
    if file is None:
        raise UsageError(f"--pretrained {variant}: give its weights with --weights FILE, safetensors or a state dict")
    if not file.is_file():
        raise DataError(f"--weights {file}: there is no such file")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
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
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise DataError(f"--weights {file}: it holds no state dict; save one with torch.save(model.state_dict(), ...)")
    return found


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
