"""Pretrained: a trained network that a space can be made of, and what is known about it before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from edgenas.errors import DataError
from edgenas.graph.ops import Shape
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.step import Steps
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

    def space(self, shape: Shape, classes: int) -> PretrainedSpace:
        """Return the space of the network; its weights are loaded when they are asked for.

        Args:
            shape: of the images, (3, H, W).
            classes: of the images.

        Raises:
            UsageError: edgenas cannot express the network, or it does not take such images.
        """
        return PretrainedSpace(shape, classes, trace(self.module(), self.name), self.name, self._trained)

    def _trained(self) -> Steps:
        """The traced network with its weights. Raises DataError if they are another network's."""
        module = self.module()
        try:
            module.load_state_dict(dict(self.weights()))
        except RuntimeError as error:  # names or shapes differ
            raise DataError(f"{self.name}: the weights are another network's: {str(error).splitlines()[1]}") from error
        return trace(module, self.name)
