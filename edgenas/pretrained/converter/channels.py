"""Which values of a traced network have their channels in common, and which of those may be cut by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgenas.graph.ops import Act, Add, Concat, Conv, GlobalPool, Linear, Pool, SqueezeExcite
from edgenas.pretrained.converter.step import IMAGE, Steps

# Ops that treat each channel by itself, and so pass on the channels that they read.
BY_CHANNEL = (Act, Pool, GlobalPool, SqueezeExcite)


@dataclass
class Channels:
    """Channels that are cut and sorted together, as all these steps agree on them.

    Args:
        count: how many there are.
        steps: whose results have them, in topological order.
        makers: those steps that compute them from others: convolutions and linear layers.
        readers: convolutions and linear layers that compute others from them.
        is_fixed: whether they are those of the image, of the logits, of a concatenation or of groups.
        is_summed: whether a sum joins them with others, as the shortcuts of residual blocks do.
        is_active: whether an activation follows before they are read: block outputs of MobileNets have none.
    """

    count: int
    steps: list[str] = field(default_factory=list)
    makers: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    is_fixed: bool = False
    is_summed: bool = False
    is_active: bool = False

    @property
    def is_hidden(self) -> bool:
        """Tell whether one layer makes them, one reads them, and nothing else would notice a cut."""
        one = len(self.makers) == 1 and len(self.readers) == 1
        return one and self.is_active and not self.is_fixed and not self.is_summed


def find_channels(steps: Steps) -> dict[str, Channels]:
    """Return the channels of each step's result, by the step's name; steps that share them share the object."""
    found: dict[str, Channels] = {IMAGE: Channels(3, is_fixed=True)}
    for step in steps.values():
        inputs = [found[name] for name in step.inputs]
        op, own = step.op, inputs[0]
        if isinstance(op, Conv | Linear):
            own = _convolved(op, inputs[0], step.name)
        elif isinstance(op, Add):
            own = _joined(found, inputs)
            own.is_summed = True
        elif isinstance(op, Concat):
            for channels in inputs:
                channels.is_fixed = True
            own = Channels(sum(channels.count for channels in inputs), is_fixed=True)
        else:
            assert isinstance(op, BY_CHANNEL)
        own.steps.append(step.name)
        own.is_active |= (isinstance(op, Conv) and op.act != "none") or isinstance(op, Act)
        found[step.name] = own
    found[next(reversed(steps))].is_fixed = True
    return found


def distinct(channels: Iterable[Channels]) -> list[Channels]:
    """Return each of the objects once, in their order."""
    return list({id(one): one for one in channels}.values())


def _convolved(op: Conv | Linear, read: Channels, name: str) -> Channels:
    """The channels behind a layer: the same ones behind a depthwise convolution, else new ones."""
    if isinstance(op, Conv) and op.groups > 1:
        if op.groups == op.out == read.count:
            return read
        read.is_fixed = True
        return Channels(op.out, makers=[name], is_fixed=True)
    read.readers.append(name)
    return Channels(op.out, makers=[name])


def _joined(found: dict[str, Channels], parts: list[Channels]) -> Channels:
    """The first of some channels, which takes in the others."""
    first = parts[0]
    for other in parts[1:]:
        if other is first:
            continue
        for kind in ("steps", "makers", "readers"):
            getattr(first, kind).extend(getattr(other, kind))
        for kind in ("is_fixed", "is_summed", "is_active"):
            setattr(first, kind, getattr(first, kind) or getattr(other, kind))
        for name, channels in found.items():
            if channels is other:
                found[name] = first
    return first
