"""What a source of images found beside the images that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class LeftOut:
    """A file or an image that is not used."""

    name: str
    reason: str

    def __str__(self) -> str:
        """Return both in a line."""
        return f"{self.name}: {self.reason}"


NAMED = 3  # that a line names


def listed(left_out: Sequence[LeftOut]) -> str:
    """Return how many are left out, with the first few of them."""
    few = "; ".join(map(str, left_out[:NAMED]))
    more = f"; and {len(left_out) - NAMED:,} more" if len(left_out) > NAMED else ""
    return f"{len(left_out):,} left out: {few}{more}"


@dataclass(frozen=True)
class Found:
    """What a report says of the images beyond their number.

    Args:
        left_out: what is not used: files that are no pictures, broken ones, copies.
        drawn: splits that were drawn from the training images, as the source has none.
        sizes: height and width of the smallest, the median and the largest picture, by area; of files alone.
        hidden: share of its pixels that a centred square hides of a picture, on average; of files alone.
        white: value that becomes 255 in grey pictures of 16 bits; None where there are none.
        grey_levels: of 256, that are left of the darkest picture of 16 bits.
    """

    left_out: tuple[LeftOut, ...] = ()
    drawn: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    hidden: float | None = None
    white: int | None = None
    grey_levels: int | None = None
