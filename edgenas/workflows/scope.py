"""What a kit is about, by its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgenas.devices.general_probes import general_ops, general_space
from edgenas.devices.source_devices import Scope
from edgenas.errors import TableError
from edgenas.spaces.build import parse_spec
from edgenas.spaces.sampling import distinct_nodes


def scope_of(manifest: Mapping[str, Any]) -> Scope:
    """Return the ops and the space of a kit.

    Raises:
        TableError: the manifest does not say.
    """
    try:
        if manifest["general"]:
            return Scope({node.key: node for node in general_ops(seed=manifest["seed"])}, general_space())
        space = parse_spec(manifest["space"])
        only = {name: space.options_named(name, values) for name, values in manifest["only"].items()}
    # The manifest comes from a zip that went to a device and back: its fields may be missing or of any type.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"the kit does not say what it is of ({error}); make another with `edgenas kit`") from error
    space = space.restrict(only).preferred
    return Scope({node.key: node for node in distinct_nodes(space)}, space)
