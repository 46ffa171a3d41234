"""How far the space's largest architecture is from the trained network that it was made of: logits, ONNX, sorting.

    python -m tests.benchmarks.exactness [--images 64] [--dry]

EfficientNet-Lite has ImageNet's weights. Networks of torchvision have random ones, with drawn scales and shifts of
batch norm, and statistics of random images. Differences are absolute; beside them stands the largest logit.
Sorting reorders sums, so it is compared in 64 bits as well, where roundings are far below what a wrong order would
change. About ten minutes.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.session import outputs
from edgenas.nn.network import Network
from edgenas.pretrained.converter.sorting import importance, sorted_by
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.trace import trace
from edgenas.system import plugins
from tests.benchmarks._common import record
from tests.pretrained._networks import stirred

SIDES = (64, 97, 160)


def main() -> None:
    """Compare every network that is listed, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    heads = ("network", "largest logit", "network", "ONNX", "sorting, 32 bits", "sorting, 64 bits")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for source in ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "torchvision"):
        plugin = plugins.load("pretrained", source)
        for variant in plugin.variants():
            found = plugin.build(variant)
            module = found.module()
            if found.is_here:
                module.load_state_dict(dict(found.weights()))
            else:
                drawn(module)
            figures = [compare(module.eval(), found.name, side, arguments.images) for side in SIDES]
            largest = [max(column) for column in zip(*figures, strict=True)]
            lines.append(f"| {found.name} | {largest[0]:.3g} | " + " | ".join(f"{x:.1e}" for x in largest[1:]) + " |")
            print(lines[-1], flush=True)
    text = [f"largest difference of logits over {arguments.images} images at {', '.join(map(str, SIDES))} pixels", ""]
    print("\n".join(lines)) if arguments.dry else record("Trained networks as spaces: exactness", [*text, *lines])


@torch.no_grad()
def drawn(module: torch.nn.Module) -> None:
    """Draw the parameters of every batch norm; its statistics are then those of images, as in a trained network."""
    for layer in stirred(module).modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    module.train()(torch.randn(32, 3, 96, 96, generator=torch.Generator().manual_seed(1)))


@torch.no_grad()
def compare(module: torch.nn.Module, name: str, side: int, images: int) -> tuple[float, ...]:
    """Largest logit, and how far network, ONNX file and network with sorted channels are from the original."""
    steps = trace(module, name)
    space = PretrainedSpace((3, side, side), 1000, steps, name)
    x = torch.randn(images, 3, side, side, generator=torch.Generator().manual_seed(side))
    expected = module(x)

    def logits(weights: dict[str, np.ndarray]) -> tuple[Network, torch.Tensor]:
        network = Network(space.graph(space.whole)).eval()
        network.inherit(weights)
        return network, network(x)

    network, plain = logits(_arrays(steps))
    file = to_bytes(to_onnx(network.graph, network.folded()))
    onnx = torch.from_numpy(outputs(file, x.numpy()))
    rng = np.random.default_rng(0)
    order = {maker: rng.permutation(len(values)).tolist() for maker, values in importance(steps).items()}
    other, moved = logits(_arrays(sorted_by(steps, order)))
    exact = other.double()(x.double()) - network.double()(x.double())
    differences = (plain - expected, onnx - expected, moved - plain, exact)
    return (float(expected.abs().max()), *(float(d.abs().max()) for d in differences))


def _arrays(steps: object) -> dict[str, np.ndarray]:
    return {f"{s.name}.{n}": w.numpy() for s in steps.values() for n, w in s.weights.items()}  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
