"""The smallest space that is worth a search: what examples and quick tests search, measure and export."""

from __future__ import annotations

from edgenas.graph.graph import Builder, Choice
from edgenas.graph.ops import Shape
from edgenas.spaces.base import SearchSpace

KERNELS, WIDTHS = (1, 3, 5), (4, 8)


class Tiny(SearchSpace):
    """Two convolutions whose kernels and width are searched: 18 architectures for images of any shape.

    >>> import edgenas
    >>> space = edgenas.testing.Tiny((1, 32, 32), 10)
    >>> space.spec, space.values(space.parse("120"))
    ('edgenas.testing.tiny 1x32x32 10', {'width': 8, 'kernel0': 5, 'kernel1': 1})
    """

    name = "edgenas.testing.tiny"
    choices = (Choice("width", WIDTHS, static=True), *(Choice(f"kernel{i}", KERNELS) for i in range(2)))

    def emit(self, g: Builder) -> None:
        """Write stem, two searched convolutions and classifier."""
        width = int(g.pick("width"))
        x = g.conv("stem", g.input, out=width, kernel=3, stride=4, act="relu")
        for i in range(2):
            # One group of weights for all kernels: a supernet of it trains them together.
            convs = {k: g.conv(f"c{i}.k{k}", x, out=width, kernel=k, act="relu", weights=f"c{i}") for k in KERNELS}
            x = g.choose(f"kernel{i}", convs)
        g.linear("head", g.global_pool("pool", x), out=self.classes)


def build(shape: Shape, classes: int) -> Tiny:
    """Return the space for images of this shape, (C, H, W): `--space edgenas.testing.tiny`."""
    return Tiny(shape, classes)
