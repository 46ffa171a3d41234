"""The trained network that a configuration names, and the images that its space is for where only flags say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.errors import EnvironmentFault, UsageError
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import SpaceMaker
from edgenas.system import plugins
from edgenas.workflows.config import Config, resolve_data

if TYPE_CHECKING:
    from edgenas.pretrained.base import Pretrained
    from edgenas.pretrained.converter.space import PretrainedSpace


def open_pretrained(config: Config) -> Pretrained | None:
    """Return the trained network that `pretrained` names; None if it names none.

    Raises:
        UnknownName: there is no such network.
        UsageError: a space is named too, or weights without a network of one's own.
    """
    if config.pretrained is None:
        if config.weights is not None:
            raise UsageError("--weights: name the network that they are of, with --pretrained package.module:function")
        return None
    if config.space != Config.space:
        raise UsageError(f"--pretrained is the space; leave --space {config.space} out")
    plugin, variant = plugins.pretrained(config.pretrained)
    if config.weights is not None and plugin != plugins.OWN:
        raise UsageError(
            f"--weights {config.weights}: {config.pretrained} comes with weights of its own; leave --weights out, or "
            "name the network that the file is of with --pretrained package.module:function"
        )
    weights = None if config.weights is None else Path(config.weights).expanduser()
    found: Pretrained = plugins.load("pretrained", plugin).build(variant, download=config.download, weights=weights)
    return found


def check_pretrained(config: Config) -> None:
    """Load the trained network that `pretrained` names once, if it names one, to find what is wrong with it at once.

    Raises:
        EnvironmentFault: its weights are not here.
        DataError: they are damaged.
        UsageError: they are another network's, or edgenas cannot express it.
    """
    network, teacher = open_pretrained(config), open_teacher(config)
    for named in (network, teacher):
        if named is not None:
            named.check()


def open_teacher(config: Config) -> Pretrained | None:
    """Return the larger network that `teacher` names; None if it names none.

    Raises:
        UnknownName: there is no such network.
        UsageError: no network is cut, the teacher's weights are in a file of one's own, or it takes images that are
            normalised otherwise.
    """
    if config.teacher is None:
        return None
    cut = open_pretrained(config)
    if cut is None:
        raise UsageError(f"--teacher {config.teacher}: name the network that is cut, too, with --pretrained")
    if plugins.pretrained(config.teacher)[0] == plugins.OWN:
        raise UsageError(f"--teacher {config.teacher}: name one that comes with weights, see `edgenas list pretrained`")
    teacher = open_pretrained(replace(config, pretrained=config.teacher, weights=None))
    assert teacher is not None
    if (teacher.mean, teacher.std) != (cut.mean, cut.std):
        raise UsageError(
            f"--teacher {config.teacher}: it takes images that are normalised otherwise than those of {cut.name}; name "
            "one of its family"
        )
    return teacher


def teacher_space(config: Config, shape: Shape, classes: int) -> PretrainedSpace | None:
    """Return the space of the larger network that `teacher` names, if it names one.

    Args:
        config: names the networks.
        shape: of the images, (3, H, W).
        classes: of the images.
    """
    teacher = open_teacher(config)
    return None if teacher is None else teacher.space(shape, classes)


def smaller_space(config: Config, shape: Shape, classes: int) -> SearchSpace | None:
    """Return the space of the next smaller network of the family, whole at any size.

    None where there is none whose weights are here, or may be downloaded, and that takes the same images.

    Args:
        config: names the network.
        shape: of the images, (3, H, W).
        classes: of the images.
    """
    cut = open_pretrained(config)
    if cut is None or not cut.smaller:
        return None
    own = replace(config, pretrained=cut.smaller, weights=None)
    smaller = open_pretrained(own)
    if smaller is None or not (smaller.is_here or config.download):
        return None
    return whole_maker(own)(shape, classes) if (smaller.mean, smaller.std) == (cut.mean, cut.std) else None


def known_networks() -> Iterator[Pretrained]:
    """Yield the trained networks that come with edgenas, without those of a library that is not installed."""
    for source in plugins.names("pretrained"):
        plugin = plugins.load("pretrained", source)
        for variant in plugin.variants():
            try:
                yield plugin.build(variant)
            except EnvironmentFault:
                continue


def space_source(config: Config) -> str | SpaceMaker:
    """Return what builds the space of a configuration: its name, or the maker of a trained network's."""
    network = open_pretrained(config)
    return config.space if network is None else network.space


def whole_maker(config: Config) -> SpaceMaker:
    """Return what builds the space of a configuration's trained network, narrowed to the whole network at any size."""
    network = open_pretrained(config)
    assert network is not None

    def whole(shape: Shape, classes: int) -> SearchSpace:
        space = network.space(shape, classes)
        return space.restrict({choice.name: [0] for choice in space.choices if choice.name != "resolution"})

    return whole


def input_of(config: Config, shape: Shape | None, classes: int | None, default: tuple[Shape, int]) -> tuple[Shape, int]:
    """Return the images that a space is for, and their classes, where no images need to be read.

    Args:
        config: names the network, if any, and perhaps the folder of images.
        shape: (C, H, W), if it is given.
        classes: if they are given.
        default: of both, where nothing else says it.
    """
    network = open_pretrained(config)
    if network is None:
        return shape or default[0], classes or classes_of(config) or default[1]
    side = config.image_size or network.side
    return shape or (3, side, side), classes or classes_of(config) or network.classes


def classes_of(config: Config) -> int | None:
    """Return how many classes the images have, as far as the names of folders say it; None if they do not."""
    if config.data == Config.data:
        return None
    config = resolve_data(config)
    if config.data == "folder" and config.data_root is not None:
        return len(plugins.load("data", "folder").class_names(Path(config.data_root).expanduser()))
    return None
