"""What a kit is about, by its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edgenas.devices.general_probes import general_ops, general_space
from edgenas.devices.source_devices import Scope
from edgenas.errors import DamagedTable, UsageError
from edgenas.latency.table import LatencyTable
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import Spec, build_space, read_spec
from edgenas.spaces.sampling import distinct_nodes
from edgenas.workflows.config import Config
from edgenas.workflows.named import is_same
from edgenas.workflows.pretrained import classes_of, space_source


def scope_of(manifest: Mapping[str, Any], space: SearchSpace | None = None) -> Scope:
    """Return the ops and the space of a kit.

    Args:
        manifest: of the kit.
        space: the whole space that it names, where it has been built already.

    Raises:
        DamagedTable: the manifest does not say.
        UsageError: it names a space that is not here, or is of another version.
    """
    with _of_manifest():
        if manifest["general"]:
            if not isinstance(seed := manifest["seed"], int):  # numpy would draw with others, too
                raise TypeError(f"its seed is {seed!r}")
            return Scope({node.key: node for node in general_ops(seed=seed)}, general_space())
    space = space or build_space(*_spec(manifest))
    with _of_manifest():
        only = {name: space.options_named(name, values) for name, values in manifest["only"].items()}
    space = space.restrict(only).preferred
    return Scope({node.key: node for node in distinct_nodes(space)}, space)


def name_space(config: Config, table: LatencyTable) -> None:
    """Make a space from outside known by the name that the networks of a table have it by.

    Args:
        config: may name it.
        table: whose networks are to be rebuilt.
    """
    for name, shape, classes in map(read_spec, dict.fromkeys(net.spec for net in table.nets)):
        if name == config.pretrained or (config.pretrained is None and is_same("space", config.space, name)):
            build_space(space_source(config), shape, classes)


def check_scope(config: Config, manifest: Mapping[str, Any]) -> None:
    """Check that a kit is of the space and the images that are named, and make a space from outside known by its name.

    A kit's manifest has names alone, and of a network or a space of one's own the name says nothing of where it is.

    Args:
        config: what is named; its defaults stand for what is not.
        manifest: of the kit.

    Raises:
        DamagedTable: the manifest does not say.
        UsageError: the kit is of another space, of images of another size, or of another number of classes.
    """
    named = config.pretrained or (None if config.space == Config.space else config.space)
    classes = classes_of(config)
    if named is None and classes is None and config.image_size is None and config.weights is None:
        return
    if manifest.get("general") or "space" not in manifest:
        raise UsageError("the kit is of no single space; leave --pretrained, --space, --data and --image-size out")
    kit = _spec(manifest)
    if named is not None or config.weights is not None:
        space = build_space(space_source(config), kit.shape, kit.classes)
        if space.name != kit.name:
            what = "--space" if config.pretrained is None else "--pretrained"
            raise UsageError(f"{what} {named}: the kit is of {kit.name}; leave it out, or give the other kit's results")
    if config.image_size not in (None, kit.shape[1]):
        raise UsageError(f"--image-size {config.image_size}: the kit is of {kit.shape[1]} pixels; leave it out")
    if classes not in (None, kit.classes):
        raise UsageError(f"--data {config.data}: {classes} classes, the kit is of {kit.classes}; make another kit")


def _spec(manifest: Mapping[str, Any]) -> Spec:
    """The space that a manifest names, which need not be known."""
    with _of_manifest():
        try:
            return read_spec(manifest["space"])
        except UsageError as error:
            raise ValueError(error) from error


@contextmanager
def _of_manifest() -> Iterator[None]:
    """A manifest comes from a zip that went to a device and back: its fields may be missing or of any type."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedTable(f"the kit does not say what it is of ({error}); make another with `edgenas kit`") from error
