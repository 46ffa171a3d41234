"""Pretrained: a trained network that a space can be made of, and what is known about it before it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgenas.errors import DataError, UsageError
from edgenas.graph.ops import Conv, Shape
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.step import IMAGE, Steps
from edgenas.pretrained.converter.trace import trace

Weights = Mapping[str, Tensor]  # a state dict


@dataclass(frozen=True)
class Pretrained:
    """A trained network: how it is built, where its weights are, and the images that it takes.

    Args:
        name: as the command line has it.
        module: builds the network, untrained.
        weights: loads its state dict; raises EnvironmentFault where it is not here, with what brings it.
        is_here: whether `weights` finds it without a download.
        source: where the weights come from.
        hint: what brings them, where they are not here.
        licence: of the weights, as their source states it.
        side: of the images that it was trained on, in pixels.
        mean: subtracted from pixels in 0..1, one per channel.
        std: by which the difference is divided, one per channel.
        classes: that its last layer tells apart.
        smaller: name of the next smaller network of its family; "" if there is none.
    """

    name: str
    module: Callable[[], nn.Module]
    weights: Callable[[], Weights]
    is_here: bool
    source: str
    hint: str
    licence: str
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int = 1000  # ImageNet's
    smaller: str = ""

    def space(self, shape: Shape, classes: int) -> PretrainedSpace:
        """Return the space of the network; its weights are loaded when they are asked for.

        Args:
            shape: of the images, (3, H, W).
            classes: of the images.

        Raises:
            UsageError: edgenas cannot express the network, or it does not take such images.
        """
        return PretrainedSpace(shape, classes, trace(self.module(), self.name), self.name, self._trained)

    def check(self) -> None:
        """Load the weights once, so that what is wrong with them is told before anything is done.

        Raises:
            EnvironmentFault: they are not here.
            DataError: they are damaged.
            UsageError: they are another network's, edgenas cannot express the network, or its normalisation does not
                fit its images.
        """
        for step in self._trained().values():
            if IMAGE in step.inputs and isinstance(step.op, Conv):
                channels = step.weights["weight"].shape[1] * step.op.groups
                if channels != len(self.mean):
                    raise UsageError(
                        f"{self.name}: mean and std have {len(self.mean)} entries, and its layer {step.name!r} takes "
                        f"images of {channels} channels; give one entry a channel"
                    )

    def sha256(self) -> str:
        """Return what tells these weights from others, by names and values: the form of their file does not count.

        Raises:
            UsageError, DataError, EnvironmentFault: as `weights`.
        """
        found = hashlib.sha256()
        for name, tensor in sorted(self.weights().items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    def _trained(self) -> Steps:
        """The traced network with its weights."""
        module, weights = self.module(), dict(self.weights())
        for name, tensor in weights.items():
            self._check_values(name, tensor)
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:  # names or shapes differ
            raise UsageError(f"{self.name}: the weights are another network's: {str(error).splitlines()[1]}") from error
        return trace(module, self.name)

    def _check_values(self, name: str, tensor: Tensor) -> None:
        where = f"{self.name}: tensor {name!r} of {self.source}"
        advice = "save the weights of a training that went well"
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(f"{where} holds values that are NaN or infinite; {advice}")
        if name.endswith("running_var") and bool((tensor < 0).any()):  # batch norm takes its root
            raise DataError(f"{where} holds variances below 0; {advice}")
