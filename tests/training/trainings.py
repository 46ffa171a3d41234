"""Short trainings, for one process or several: `torchrun ... -m tests.training.trainings all OUT EPOCHS`.

The first process writes what came of them as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edgenas.cli import main as cli
from edgenas.data.base import Split
from edgenas.errors import DataError
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.sampling import sample
from edgenas.strategies.gradient.bilevel_training import BilevelSettings, BilevelTraining
from edgenas.strategies.gradient.relaxations import Gumbel, Relaxation, Softmax
from edgenas.system import distributed
from edgenas.training.context import TrainingContext
from edgenas.training.memory import PROBED
from edgenas.training.sandwich import sandwich
from edgenas.training.settings import Settings
from edgenas.training.train import Gradients, supervised, train
from tests.strategies._synthetic import Toy, noise, synthetic

Report = dict[str, object]


@dataclass(frozen=True)
class Task:
    """What is trained, on what, how; a space with one combination of static options."""

    space: SearchSpace
    images: Split
    settings: Settings

    def final(self) -> Report:
        """One network."""
        network = Network(self.space.graph(self.smallest), torch.Generator().manual_seed(0))
        return self._train(network, supervised(network, self.settings))

    def supernet(self) -> Report:
        """Three paths a step; each process draws others, and takes the first one's."""
        module = Supernet(self.space, torch.Generator().manual_seed(0))

        def archs(step: int) -> list[tuple[int, ...]]:
            rng = np.random.default_rng((distributed.rank(), step))
            return distributed.broadcast([sample(self.space, rng) for _ in range(3)])

        return self._train(module, sandwich(module, self.settings, archs))

    def bilevel(self, relaxation: Relaxation) -> Report:
        """Alphas and weights in turn, each on half of the images: as many steps in twice the epochs."""
        settings = BilevelSettings(replace(self.settings, epochs=2 * self.settings.epochs), warm_up=0.1)
        rng = np.random.default_rng(0)
        problem = synthetic(self.space, 0.5)
        t = BilevelTraining(problem, self.images, relaxation, settings, rng, seed=0, device="cpu")
        losses: list[float] = []
        weights, alphas = t.batches(0), t.batches(1)
        t.supernet.train()
        while t.step < t.steps:
            batch = next(weights)
            t._step_alphas(next(alphas))
            losses.append(float(t._step_weights(batch)))
            t.step += 1
        return {"losses": losses, "weights": digest(t.supernet), "arch": list(t.alphas.decode())}

    @property
    def smallest(self) -> tuple[int, ...]:
        return tuple(options[0] for options in self.space.allowed)

    def _train(self, module: torch.nn.Module, gradients: Gradients) -> Report:
        heard: list[float] = []

        def hearing(x: torch.Tensor, y: torch.Tensor, step: int) -> torch.Tensor:
            loss = gradients(x, y, step)
            if len(x) > PROBED:  # else the step is one that measures memory
                heard.append(float(loss))
            return loss

        size = self.space.graph(self.smallest).input.shape[1]
        train(module, hearing, self.images, self.settings, size=size, seed=0, context=TrainingContext())
        steps = self.settings.epochs * (len(self.images) // self.settings.batch_size)
        parts = [np.reshape(part, (steps, -1)) for part in distributed.gather(heard)]
        return {"losses": np.concatenate(parts, axis=1).mean(1).tolist(), "weights": digest(module)}

    def all(self) -> dict[str, Report]:
        """Every training loop."""
        return {
            "final": self.final(),
            "supernet": self.supernet(),
            "darts": self.bilevel(Softmax()),
            "gdas": self.bilevel(Gumbel()),
        }


def toy(epochs: int) -> Task:
    """Three steps an epoch, of four ghost batches."""
    space = Toy(4).restrict({"width": [0]})
    return Task(space, noise(space.shape, space.classes).train, Settings(epochs, batch_size=32, ghost_batch=8))


def digest(module: torch.nn.Module) -> str:
    """Of all weights and statistics; `differ` if processes have others."""
    content = b"".join(value.detach().contiguous().numpy().tobytes() for value in module.state_dict().values())
    digests = set(distributed.gather(hashlib.sha256(content).hexdigest()))
    return "differ" if len(digests) > 1 else digests.pop()


def write(task: Task, out: Path) -> None:
    """Train all, and have the first process write what came of it."""
    found = {"world": distributed.world(), **task.all()}
    if distributed.rank() == 0:
        out.write_text(json.dumps(found))


def _run(arguments: Sequence[str]) -> int:
    what, out, epochs = arguments
    if what == "failing" and distributed.rank() == distributed.world() - 1:
        raise DataError("an image is damaged; restore it")
    write(toy(int(epochs)), Path(out))
    return 0


if __name__ == "__main__":
    cli._run = _run  # type: ignore[assignment]  # the command line around it: processes, messages, exit codes
    raise SystemExit(cli.main(sys.argv[1:]))
