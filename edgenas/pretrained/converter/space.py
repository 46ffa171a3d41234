"""The space of a trained network: the network whole, and what is left when its blocks are left out, cut or cropped."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from edgenas.errors import UsageError
from edgenas.graph.graph import OPTION, Builder, Choice, Node
from edgenas.graph.ops import Conv, Linear, Op, Shape
from edgenas.pretrained.converter.blocks import LEFT_OUT, Block, cut, find_blocks
from edgenas.pretrained.converter.channels import find_channels
from edgenas.pretrained.converter.sorting import importance, importance_by, sorted_by
from edgenas.pretrained.converter.step import IMAGE, Step, Steps
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.images import check_square

Array = NDArray[np.float32]
LEAST, MOST = 64, 512  # sides of the images, in pixels
WIDTHS = (1.0, 0.75, 0.5)  # shares of all channels that are kept, those that blocks pass on among them


def resolutions(side: int) -> tuple[int, ...]:
    """Return the options of `resolution`, largest first: from the image's side down to 64 pixels.

    Steps are of 8 pixels below 128, of 16 below 256, and of 32 beyond: of about an eighth of the latency.
    """
    steps = [*range(LEAST, 128, 8), *range(128, 256, 16), *range(256, MOST + 1, 32)]
    return tuple(sorted({side, *(step for step in steps if step < side)}, reverse=True))


class PretrainedSpace(SearchSpace):
    """Networks that are cut out of a trained one. The first option of each choice is what the network has.

    Choices are read off the network's structure. Of each block that may be changed, `b3.expand` is the share of its
    hidden channels that is kept, where 0 leaves a residual block out, and `b3.kernel` is what its kernels are cropped
    to. Channels that blocks pass on are cut by `width` alone, all together, which costs far more of what the network
    has learned: a search looks at it where nothing else fits. Deviation from the papers that cut networks so (NetAdapt,
    arXiv:1804.03230; LANA, arXiv:2107.10624): one ratio decides on all the hidden channels of a block.
    """

    skip_options = frozenset({LEFT_OUT})
    corrected_by_size = True

    def __init__(
        self, shape: Shape, classes: int, steps: Steps, name: str, load: Callable[[], Steps] | None = None
    ) -> None:
        """Prepare the space of a traced network.

        Args:
            shape: of the images (3, H, W); networks take them at this size and at smaller ones.
            classes: of the images; the network's own last layer is replaced where it has others.
            steps: of the network, as `trace` returns them.
            name: of the network.
            load: gives the same steps with trained weights; without it, those of `steps` are the trained ones.

        Raises:
            UsageError: the network does not end in a linear layer, or does not take such images.
        """
        self.name = self.network = name
        super().__init__(shape, classes)
        check_square(name, shape, 32, MOST)
        last = steps[next(reversed(steps))]
        if not isinstance(last.op, Linear):
            raise UsageError(f"{name}: its last layer {last.name!r} is a {last.op.kind}, not linear")
        self.steps, self.last, self._load = steps, last, load
        self.blocks = find_blocks(steps)
        self._channels = find_channels(steps)
        choices = [Choice("resolution", resolutions(shape[1]), static=True), Choice("width", WIDTHS, static=True)]
        for block in self.blocks:
            if len(block.ratios) > 1:
                choices.append(Choice(f"{block.name}.expand", block.ratios))
            if block.kernels:
                choices.append(Choice(f"{block.name}.kernel", block.kernels))
        self.choices = tuple(choices)

    @property
    def whole(self) -> tuple[int, ...]:
        """Return the architecture that is the network itself."""
        return (0,) * len(self.choices)

    @property
    def preferred(self) -> SearchSpace:
        """Return the space at its whole width, if that is allowed."""
        return self.restrict({"width": [0]}) if 0 in self.allowed[self.index["width"]] else self

    @cached_property
    def trained(self) -> Mapping[str, Array]:
        """Return the network's weights, by `<group>.<parameter>`, without a last layer that is to be replaced.

        Channels are sorted, so that a cut keeps those that matter most: the leading ones.
        """
        steps = self._load() if self._load else self.steps
        known = sorted_by(steps, importance(steps)).values()
        return self._arrays(step for step in known if step.name != self.last.name or step.op == Linear(self.classes))

    @cached_property
    def readers(self) -> Mapping[str, Mapping[float, int]]:
        """Return how many channels are left to each projection that reads those of a block, by the ratio that is cut.

        For each ratio such a layer has weights of its own: what is left must be combined otherwise than the whole.
        """
        found: dict[str, dict[float, int]] = {}
        for block in self.blocks:
            cuts = [ratio for ratio in block.ratios if ratio not in (1.0, LEFT_OUT)]
            for group in block.hidden:
                op = self.steps[group.readers[0]].op
                if isinstance(op, Conv) and op.is_projection:
                    found[group.readers[0]] = {ratio: cut(group.count, ratio) for ratio in cuts}
        return found

    def with_options(self, trained: Mapping[str, Array]) -> PretrainedSpace:
        """Return the space with weights of its `readers`, by `<step>@<ratio>.<parameter>`."""
        again = copy.copy(self)
        again.__dict__["trained"] = {**self.trained, **trained}
        return again

    @property
    def original(self) -> PretrainedSpace:
        """Return the space of the network with the weights that it came with, whatever it was retrained to."""
        again = copy.copy(self)
        again.__dict__.pop("trained", None)
        return again

    def retrained(self, trained: Mapping[str, Array], importance: Mapping[str, Sequence[float]]) -> PretrainedSpace:
        """Return the space of the network with other weights: those that it got by training on one's own images.

        Args:
            trained: as `trained` has them, the last layer among them.
            importance: one number a channel, by the step whose value has the channels: what decides on their order.
        """
        names = {name: [f"{name}.{key}" for key in step.weights] for name, step in self.steps.items()}
        of = {n: {k.removeprefix(f"{n}."): torch.from_numpy(trained[k]) for k in keys} for n, keys in names.items()}
        steps = {name: replace(step, weights=of[name]) for name, step in self.steps.items()}
        again = copy.copy(self)
        again.__dict__["trained"] = self._arrays(sorted_by(steps, importance_by(steps, importance)).values())
        return again

    def emit(self, g: Builder) -> None:
        """Write the network, each block that offers a choice with all that it offers."""
        values = {IMAGE: g.input}
        tails = {block.steps[-1]: block for block in self.blocks}
        inside = {name for block in self.blocks for name in block.steps}
        ends = {block.end: block for block in self.blocks if block.shortcut}
        for step in self.steps.values():
            if block := tails.get(step.name):
                values[step.name] = self._block(g, block, values)
            elif step.name not in inside:
                values[step.name] = g.append(step.name, self._op(g, step), *(values[name] for name in step.inputs))
            if (block := ends.get(step.name)) and block.shortcut is not None:
                kept = dict.fromkeys(block.ratios, values[step.name])
                alternatives = kept | {LEFT_OUT: values[block.shortcut]}
                values[step.name] = g.choose(f"{block.name}.expand", alternatives, name=f"{block.name}.end")

    def _block(self, g: Builder, block: Block, values: Mapping[str, Node]) -> Node:
        """Write the steps of a block once for each of its ratios, and return the choice among them."""
        ends = {}
        for ratio in block.ratios:
            if ratio != LEFT_OUT:
                suffix = f".e{ratio:g}" if len(block.ratios) > 1 else ""
                ends[ratio] = self._cut(g, block, ratio, suffix, values)
        if len(ends) == 1:
            return next(iter(ends.values()))
        return g.choose(f"{block.name}.expand", ends)

    def _cut(self, g: Builder, block: Block, ratio: float, suffix: str, values: Mapping[str, Node]) -> Node:
        """Write the steps of a block with a share of its hidden channels."""
        hidden = {name for group in block.hidden for name in group.steps}
        own = dict(values)
        for step in (self.steps[name] for name in block.steps):
            op = self._op(g, step, ratio if step.name in hidden else 1.0)
            inputs = [own[name] for name in step.inputs]
            name = f"{step.name}{suffix}"
            if isinstance(op, Conv) and op.kernel in block.kernels and op.kernel > min(block.kernels):
                # A crop keeps the centre on the same pixel, whatever the padding; see `Conv.padding`.
                crops = {k: replace(op, kernel=min(k, op.kernel)) for k in block.kernels}
                nodes = {k: g.append(f"{name}.k{k}", crop, *inputs, weights=step.name) for k, crop in crops.items()}
                own[step.name] = g.choose(f"{block.name}.kernel", nodes, name=f"{name}.kernel")
            else:
                weights = _group(step.name, ratio) if ratio in self.readers.get(step.name, ()) else step.name
                own[step.name] = g.append(name, op, *inputs, weights=weights)
        return own[block.steps[-1]]

    def _arrays(self, steps: Iterable[Step]) -> dict[str, Array]:
        """The weights of steps, by `<step>.<parameter>`; those of `readers` are the whole one's at any ratio."""
        found: dict[str, Array] = {}
        for step in steps:
            groups = [step.name, *(_group(step.name, ratio) for ratio in self.readers.get(step.name, ()))]
            for name, tensor in step.weights.items():
                array = np.ascontiguousarray(tensor.numpy(), np.float32)
                found |= {f"{group}.{name}": array for group in groups}
        return found

    def _op(self, g: Builder, step: Step, ratio: float = 1.0) -> Op:
        """A step's op, with the width's share of channels, of which a ratio is kept; or with this space's classes."""
        op, group = step.op, self._channels[step.name]
        if step is self.last:
            return Linear(self.classes)
        if group.is_fixed or not isinstance(op, Conv | Linear):
            return op
        channels = cut(cut(group.count, float(g.pick("width"))), ratio)
        if isinstance(op, Conv) and op.groups > 1:
            return replace(op, out=channels, groups=channels)
        return replace(op, out=channels)


def _group(step: str, ratio: float) -> str:
    """The name of a layer's weights where a ratio of its channels is left."""
    return f"{step}{OPTION}{ratio:g}"


def whole_at(space: SearchSpace, arch: Sequence[int]) -> tuple[int, ...] | None:
    """Return the trained network itself at the shape choices of `arch`; None in a space that is not made of one."""
    if not isinstance(space, PretrainedSpace):
        return None
    shape = set(space.static_indices)
    return tuple(arch[i] if i in shape else option for i, option in enumerate(space.whole))
