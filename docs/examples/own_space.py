"""Search a space of your own: a class with `choices` and `emit`.

    python docs/examples/own_space.py

The same file is a plugin of the command line: `edgenas search --space docs/examples/own_space.py --budget-ms 1`. The
example takes its smallest settings; the latency table that it names was measured for another space, so that most ops
are estimated. Leave `device` out to measure this machine, which takes about a minute.
"""

from __future__ import annotations

import tempfile

import edgenas


class PlainNet(edgenas.SearchSpace):
    """Three stages of plain convolutions: kernels, a squeeze-and-excitation per stage, and the width are searched.

    Alternatives that name the same `weights` share them: in the supernet a kernel of 3 is the centre of a kernel of 5.
    """

    name = "own_space"
    choices = (
        edgenas.Choice("width", (8, 16), static=True),  # it changes the shapes of everything behind it
        *(edgenas.Choice(f"kernel{i}", (3, 5)) for i in range(3)),
        *(edgenas.Choice(f"gate{i}", (False, True)) for i in range(3)),
    )

    def emit(self, g: edgenas.Builder) -> None:
        """Write the whole space as one program; costs, supernet, ONNX and device probes read it."""
        width = int(g.pick("width"))
        x = g.conv("stem", g.input, out=width, kernel=3, stride=2, act="relu")
        for i in range(3):
            out = width * 2**i
            convs = {
                k: g.conv(f"s{i}.k{k}", x, out=out, kernel=k, stride=1 + (i > 0), act="relu", weights=f"s{i}.conv")
                for k in (3, 5)
            }
            x = g.choose(f"kernel{i}", convs)
            x = g.choose(f"gate{i}", {False: x, True: g.squeeze_excite(f"s{i}.se", x, hidden=out // 4)})
        g.linear("head", g.global_pool("pool", x), out=self.classes)


def build(shape: tuple[int, int, int], classes: int) -> PlainNet:
    """Return the space for images of this shape: what `--space own_space.py` calls."""
    return PlainNet(shape, classes)


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        result = edgenas.search(
            "digits",
            budget_ms=0.5,
            space=PlainNet,
            device="amd-epyc-zen4",
            trials=6,
            shape_choices=1,
            supernet_epochs=1,
            finalists=1,
            final_epochs=1,
            int8=False,
            output=f"{folder}/run",
        )
        print(f"{result.choices}: {result.predicted_ms:.3f} ms predicted, {100 * result.test_accuracy:.1f} % test")


if __name__ == "__main__":
    main()
