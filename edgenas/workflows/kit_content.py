"""What a device kit holds: all ops of a space and random networks, or of a large space those that tell most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from edgenas.devices.chosen_probes import board_minutes, chosen_nets, chosen_ops
from edgenas.devices.probes import Net
from edgenas.errors import UsageError
from edgenas.exporters.metadata import MODELS
from edgenas.graph.graph import Node
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import SpaceMaker, build_space
from edgenas.spaces.sampling import distinct_nodes
from edgenas.system.records import Json
from edgenas.workflows.config import Config
from edgenas.workflows.pretrained import space_source
from edgenas.workflows.probes import general_probes, space_probes

# Networks that the correction is fitted on, as an interval from fewer than 100 counts as approximate, and networks that
# test the finished table.
KIT_NETS, KIT_TESTS = 100, 50
# Of a trained network, whose space has over a thousand ops and whose networks are large: what a small board measures in
# a quarter of an hour. The tests are fitted on as well, once they have tested the table.
CHOSEN_OPS, CHOSEN_NETS, CHOSEN_TESTS = 250, 50, 10


@dataclass(frozen=True)
class KitOptions:
    """What a kit measures.

    Args:
        shape, classes: of the images, (C, H, W), and how many classes they have.
        only: options (as texts) that are kept, by choice; the fewer, the shorter the measurement.
        nets: whole networks that the correction is fitted on; None: `KIT_NETS`, or `CHOSEN_NETS` of a trained network.
        tests: whole networks that test the table; None likewise.
        ops: at most so many of the space's ops, those that tell most; None: all, or `CHOSEN_OPS` of a trained network.
        precisions: fp32, int8 or both.
        general: ops of all kinds and sizes, and networks of all usual blocks, rather than a space's.
        space: what builds the space, instead of the configuration's name.
    """

    shape: Shape
    classes: int
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    nets: int | None = None
    tests: int | None = None
    precisions: Sequence[str] = ("fp32", "int8")
    general: bool = False
    space: SpaceMaker | None = None
    ops: int | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is no precision."""
        unknown = [name for name in self.precisions if name not in MODELS]
        if unknown or not self.precisions:
            raise UsageError(f"precisions: {', '.join(unknown) or 'none'}; give some of {', '.join(MODELS)}")

    def numbers(self, config: Config) -> tuple[int | None, int, int]:
        """Return the most ops, None for all, and how many networks are fitted on and test."""
        trained = config.pretrained is not None and not self.general
        ops, nets, tests = (CHOSEN_OPS, CHOSEN_NETS, CHOSEN_TESTS) if trained else (None, KIT_NETS, KIT_TESTS)
        return self.ops or ops, nets if self.nets is None else self.nets, tests if self.tests is None else self.tests

    def built(self, config: Config) -> SearchSpace | None:
        """Return the whole space that the kit is of; None of a general kit. Of a trained network this takes seconds."""
        if self.general:
            return None
        return build_space(self.space or space_source(config), self.shape, self.classes)

    def facts(self, config: Config, space: SearchSpace | None) -> Json:
        """Return what a kit's manifest says of its space.

        Args:
            config: names the seed.
            space: as `built` returns it.
        """
        facts: Json = {"general": self.general, "seed": config.seed}
        if space is not None:
            facts |= {"space": space.spec, "only": {name: list(values) for name, values in self.only.items()}}
        return facts


class Content(NamedTuple):
    """What is measured: ops, networks for the correction and for its test, and what the manifest says of a choice."""

    nodes: Sequence[Node]
    nets: Sequence[Net]
    tests: Sequence[Net]
    chosen: Json


def content(config: Config, options: KitOptions, space: SearchSpace | None, rng: np.random.Generator) -> Content:
    """Return the ops and the networks of a kit.

    Args:
        config: names the seed.
        options: what the kit measures.
        space: that the kit is of, as `KitOptions.built` returns it.
        rng: draws the networks.

    Raises:
        UsageError: the space has no such choice or option.
    """
    most, fitted, tests = options.numbers(config)
    chosen: Json = {}
    if space is None:
        nodes, nets = general_probes(config.seed, fitted + tests)
        # Shuffled before they are split: those that are fitted on and those that test must be of one kind.
        nets = [nets[i] for i in rng.permutation(len(nets))]
    else:
        only = {name: space.options_named(name, values) for name, values in options.only.items()}
        space = space.restrict(only).preferred
        nodes = distinct_nodes(space)
        if most is None or len(nodes) <= most:
            nodes, nets = space_probes(space, fitted + tests, rng)
        else:
            archs = chosen_nets(space, fitted + tests, rng)
            nets = [(space, archs[i]) for i in rng.permutation(len(archs))]
            of_space, nodes = len(nodes), chosen_ops(space, nodes, most, rng)
            graphs = [space.graph(arch) for arch in archs]
            minutes = board_minutes(nodes, graphs, len(options.precisions))
            chosen = {"ops_of_space": of_space, "board_minutes": round(minutes, 2)}
    return Content(nodes, nets[:fitted], nets[fitted:], chosen)
