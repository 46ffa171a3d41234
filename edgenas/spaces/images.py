"""What spaces ask of the images that they are built for."""

from __future__ import annotations

from edgenas.errors import UsageError
from edgenas.graph.ops import Shape, shape_text


def check_square(name: str, shape: Shape, least: int, most: int) -> None:
    """Check that the images (C, H, W) of space `name` are square, with `least` to `most` pixels a side.

    Raises:
        UsageError: they are not.
    """
    if shape[1] != shape[2] or not least <= shape[1] <= most:
        raise UsageError(
            f"space {name} takes square images of {least} to {most} pixels, not {shape_text(shape)}; "
            "see --image-size and --shape"
        )
