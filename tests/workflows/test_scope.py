"""What a kit is about, by its manifest."""

import pytest

from edgenas.errors import TableError
from edgenas.workflows.scope import scope_of


def test_a_space_narrowed_as_the_manifest_says():
    whole = scope_of({"general": False, "space": "tests._toys 3x8x8 4", "only": {}})
    part = scope_of({"general": False, "space": "tests._toys 3x8x8 4", "only": {"width": ["4"]}})
    assert part.nodes.keys() < whole.nodes.keys()


@pytest.mark.parametrize(
    "manifest", [{}, {"general": False}, {"general": False, "space": 3, "only": {}}, {"general": True}]
)
def test_a_manifest_that_does_not_say(manifest):
    with pytest.raises(TableError, match="does not say what it is of"):
        scope_of(manifest)
