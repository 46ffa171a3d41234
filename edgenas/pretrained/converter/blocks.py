"""Blocks of a traced network, read off its structure: what may be left out, cut in its middle, or cropped."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.graph.ops import Act, Add, Conv, Linear
from edgenas.pretrained.converter.channels import Channels, distinct, find_channels
from edgenas.pretrained.converter.step import Steps, readers

RATIOS = (1.0, 0.75, 0.5, 0.33)  # of hidden channels that are kept
LEFT_OUT = 0.0  # the ratio that stands for a residual block of which only the shortcut is left
MULTIPLE = 8  # of channels: what vector units run fastest
CROPPED = {5: (5, 3), 7: (7, 5, 3)}  # kernels, and what they are cropped to


@dataclass(frozen=True)
class Block:
    """Steps that are decided on together.

    Args:
        name: `b0`, `b1` ... in the order of the network.
        steps: in topological order; only the last is read from outside.
        hidden: channels inside that are cut by one ratio.
        ratios: that the block offers; those that would keep as many channels as another are left out.
        kernels: that the block offers, largest first; empty if none is to be cropped.
        shortcut: the step whose value stands for the block's when it is left out; None if it cannot be.
        end: the sum behind a block with a shortcut, or the activation behind that; else the last step.
    """

    name: str
    steps: tuple[str, ...]
    hidden: tuple[Channels, ...]
    ratios: tuple[float, ...]
    kernels: tuple[int, ...]
    shortcut: str | None
    end: str


def cut(channels: int, ratio: float) -> int:
    """Return how many of the channels a ratio keeps, in multiples of 8."""
    return channels if ratio == 1 else min(channels, max(MULTIPLE, round(channels * ratio / MULTIPLE) * MULTIPLE))


def find_blocks(steps: Steps) -> tuple[Block, ...]:
    """Return the blocks of a traced network that offer a choice, in its order."""
    channels = find_channels(steps)
    hidden = [group for group in distinct(channels.values()) if group.is_hidden]
    order = {name: i for i, name in enumerate(steps)}
    regions = [*_branches(steps), *_layers(steps, hidden)]
    regions += [({step.name}, None, step.name) for step in steps.values()]
    taken: set[str] = set()
    found = []
    for members, shortcut, end in regions:
        inside = tuple(group for group in hidden if {*group.steps, *group.readers} <= members)
        names = tuple(sorted(members, key=order.__getitem__))
        kernels, ratios = _kernels(steps, names), _ratios(inside) + ((LEFT_OUT,) if shortcut else ())
        if members & taken or not (kernels or len(ratios) > 1):
            continue
        taken |= members
        found.append(Block("", names, inside, ratios, kernels, shortcut, end))
    found.sort(key=lambda block: order[block.steps[0]])
    return tuple(Block(f"b{i}", b.steps, b.hidden, b.ratios, b.kernels, b.shortcut, b.end) for i, b in enumerate(found))


def _ratios(hidden: tuple[Channels, ...]) -> tuple[float, ...]:
    """The ratios that differ in what they keep."""
    kept: dict[tuple[int, ...], float] = {}
    for ratio in RATIOS if hidden else (1.0,):
        kept.setdefault(tuple(cut(group.count, ratio) for group in hidden), ratio)
    return tuple(kept.values())


def _kernels(steps: Steps, names: tuple[str, ...]) -> tuple[int, ...]:
    ops = (steps[name].op for name in names)
    largest = max((op.kernel for op in ops if isinstance(op, Conv) and op.kernel in CROPPED), default=0)
    return CROPPED.get(largest, ())


def _branches(steps: Steps) -> list[tuple[set[str], str | None, str]]:
    """The branches of sums: their steps, the shortcut around them if that is all that the sum has beside, their end."""
    before = _before(steps)
    read = readers(steps)
    found = []
    for step in steps.values():
        if not isinstance(step.op, Add):
            continue
        for branch, other in (step.inputs, step.inputs[::-1]):
            members = before.get(branch, set()) - before.get(other, {other})
            inner = members - {branch}
            closed = all(set(read[name]) <= members for name in inner) and read[branch] == [step.name]
            if not members or not closed:
                continue
            enters = {name for member in members for name in steps[member].inputs} - members
            shortcut = other if enters == {other} else None
            found.append((members, shortcut, _end(steps, read, step.name, other) if shortcut else branch))
    return found


def _layers(steps: Steps, hidden: list[Channels]) -> list[tuple[set[str], str | None, str]]:
    """From the layer that makes hidden channels to the one that reads them, outside of branches.

    Layers of a classifier are cut together. Of plain convolutions, each of which reads what another has made, every
    other one can be cut, as `find_blocks` takes none twice: the widest come first.
    """
    found: list[tuple[set[str], str | None, str]] = []
    for group in hidden:
        members = {*group.steps, *group.readers}
        if found and found[-1][2] == group.makers[0] and isinstance(steps[group.makers[0]].op, Linear):
            members |= found.pop()[0]
        found.append((members, None, group.readers[0]))
    width = {group.readers[0]: group.count for group in hidden}
    return sorted(found, key=lambda region: -width[region[2]])


def _end(steps: Steps, read: dict[str, list[str]], total: str, shortcut: str) -> str:
    """The sum, or the rectifier behind it, where leaving it out changes nothing: the shortcut is rectified already."""
    after = read[total]
    if len(after) != 1 or not isinstance(steps[after[0]].op, Act):
        return total
    act, source = steps[after[0]].op, steps.get(shortcut)
    assert isinstance(act, Act)
    rectified = source is not None and getattr(source.op, "act", "none") == act.act == "relu"
    return after[0] if rectified else total


def _before(steps: Steps) -> dict[str, set[str]]:
    """All steps that each step depends on, and itself."""
    found: dict[str, set[str]] = {}
    for step in steps.values():
        found[step.name] = {step.name}.union(*(found.get(name, set()) for name in step.inputs))
    return found
