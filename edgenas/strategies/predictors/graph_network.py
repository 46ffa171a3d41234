"""Quality from the derived graph: a graph network that learns from some dozens of labels.

After GATES (arXiv:2004.01899) and BRP-NAS (arXiv:2007.08668), with these differences: it reads the operators, shapes
and edges of any space's derived graph instead of a cell's adjacency matrix; each distinct part of a network is looked
at once (see `graph_features`); it also sees depths, numbers of paths and counts that follow from the graph; and it is
fitted to normal scores by least squares, because with a ranking loss beside it figures stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.predictors.graph_features import Part, network_features, node_features, parts
from edgenas.strategies.predictors.interface import active_options, normal_scores

HIDDEN, ROUNDS = 48, 4  # width of the network, and rounds of messages: as far as most parts are deep
MEMBERS = 3  # networks of the ensemble: their disagreement is part of the deviation
EPOCHS, RATE, DECAY = 150, 3e-3, 1e-2  # of AdamW on all labels at once, along a one-cycle schedule
HELD_OUT = 0.1  # of the labels, for each member others
FEWEST = 4  # labels to learn from
FURTHEST = 4.0  # standard deviations from the labels' mean that a feature is followed to
LEAST_SPREAD = 0.05  # features that differ by less are no evidence
BLOCK = 500  # networks predicted at once


@dataclass(frozen=True)
class Batch:
    """Networks as tensors: s distinct structures of at most v nodes, and b networks of at most p parts.

    `nodes` (s, v, features), `inputs` (s, v, v) counts edges to each node from others, `there` (s, v, 1) is 1 for nodes
    that exist, `exits` (s,); `structures` (b, p), `sizes` (b, p, features), `counts` (b, p, 1) is 0 for parts that do
    not exist; `whole` (b, features).
    """

    nodes: Tensor
    inputs: Tensor
    there: Tensor
    exits: Tensor
    structures: Tensor
    sizes: Tensor
    counts: Tensor
    whole: Tensor


def batched(networks: Sequence[Sequence[Part]]) -> Batch:
    """Return the parts of at least one network as tensors."""
    distinct = {part.structure: 0 for found in networks for part in found}
    distinct = {structure: i for i, structure in enumerate(distinct)}
    features = [node_features(structure) for structure in distinct]
    widest, longest = max(map(len, features)), max(map(len, networks))
    nodes = np.zeros((len(distinct), widest, features[0].shape[1]), dtype=np.float32)
    there = np.zeros((len(distinct), widest, 1), dtype=np.float32)
    inputs = np.zeros((len(distinct), widest, widest), dtype=np.float32)
    for s, structure in enumerate(distinct):
        nodes[s, : len(features[s])] = features[s]
        there[s, : len(features[s])] = 1
        for node, sources in enumerate(structure.inputs):
            np.add.at(inputs[s, node], list(sources), 1)
    structures = np.zeros((len(networks), longest), dtype=np.int64)
    sizes = np.zeros((len(networks), longest, len(networks[0][0].sizes)), dtype=np.float32)
    counts = np.zeros((len(networks), longest, 1), dtype=np.float32)
    for b, found in enumerate(networks):
        structures[b, : len(found)] = [distinct[part.structure] for part in found]
        sizes[b, : len(found)] = [part.sizes for part in found]
        counts[b, : len(found), 0] = [part.count for part in found]
    whole = np.array([network_features(found) for found in networks], dtype=np.float32)
    exits = np.array([len(each) - 1 for each in features])
    return Batch(*map(torch.from_numpy, (nodes, inputs, there, exits, structures, sizes, counts, whole)))


class Scale(nn.Module):
    """Brings features to mean 0 and deviation 1, as over those it is made of."""

    centre: Tensor
    length: Tensor

    def __init__(self, features: Tensor) -> None:
        """Measure the scale of features (n, features)."""
        super().__init__()
        length = features.std(dim=0, correction=0)
        self.register_buffer("centre", features.mean(dim=0))
        self.register_buffer("length", torch.where(length > LEAST_SPREAD, length, torch.inf))

    def forward(self, features: Tensor) -> Tensor:
        """Scale features of any leading shape; those that never differed become 0."""
        return ((features - self.centre) / self.length).clamp(-FURTHEST, FURTHEST)


class GraphNetwork(nn.Module):
    """Messages along and against the edges of each structure, a gated sum over nodes, a sum over parts, a head."""

    def __init__(self, labels: Batch, rng: Generator) -> None:
        """Scale features as those of the labels; weights are uniform by fan-in, drawn from `rng`."""
        super().__init__()
        self.scale_nodes = Scale(labels.nodes[labels.there[..., 0] > 0])
        self.scale_sizes = Scale(labels.sizes[labels.counts[..., 0] > 0])
        self.scale_whole = Scale(labels.whole)
        features, sizes, whole = (x.shape[-1] for x in (labels.nodes, labels.sizes, labels.whole))
        with torch.random.fork_rng(devices=[]):  # torch's own draws are replaced below
            self.symbol = nn.Linear(features, HIDDEN)
            self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(ROUNDS))
            self.messages = nn.ModuleList(_perceptron(3 * HIDDEN, HIDDEN) for _ in range(ROUNDS))
            self.gate, self.value = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
            self.part = _perceptron(2 * HIDDEN + sizes, HIDDEN)
            self.head = _perceptron(HIDDEN + whole, 1)
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    bound = layer.in_features**-0.5
                    for parameter in layer.parameters():
                        parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, size=tuple(parameter.shape))))

    def forward(self, batch: Batch) -> Tensor:
        """Return predicted normal scores (b,)."""
        of_part = torch.cat([self._structures(batch)[batch.structures], self.scale_sizes(batch.sizes)], dim=-1)
        # A network has about ten parts: their sum stays near one.
        pooled = (self.part(of_part) * batch.counts).sum(dim=1) / 10
        scores: Tensor = self.head(torch.cat([pooled, self.scale_whole(batch.whole)], dim=-1))[:, 0]
        return scores

    def _structures(self, batch: Batch) -> Tensor:
        """Return features (s, 2 * HIDDEN) of each structure: of its exit, and of all its nodes."""
        readers = batch.inputs.transpose(1, 2)
        h = self.symbol(self.scale_nodes(batch.nodes))
        for norm, message in zip(self.norms, self.messages, strict=True):
            y = norm(h) * batch.there
            h = h + message(torch.cat([y, batch.inputs @ y, readers @ y], dim=-1))
        exits = h[torch.arange(len(h)), batch.exits]
        # Blocks and small cells have three to seven nodes: their sum stays near one.
        nodes = (torch.sigmoid(self.gate(h)) * self.value(h) * batch.there).sum(dim=1) / 3
        return torch.cat([exits, nodes], dim=-1)


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def train(batch: Batch, scores: Tensor, seen: Tensor, rng: Generator) -> GraphNetwork:
    """Return a network trained on some of the labels.

    Args:
        batch: all b labels, which also give the scale of the features.
        scores: normal scores (b,) of all labels.
        seen: indices of those that are trained on.
        rng: draws the first weights.
    """
    network = GraphNetwork(batch, rng)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        # Those held out are computed too, since parts are shared; their scores stay unseen.
        loss = ((network(batch)[seen] - scores[seen]) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


class Graphs:
    """A few graph networks, each trained without some of the labels, which tell how far to trust it."""

    def __init__(self, space: SearchSpace, members: int = MEMBERS) -> None:
        """Know nothing yet: all scores are equal. Graphs once read are kept as long as it lives."""
        self.space = space
        self.members = members
        self._networks: list[GraphNetwork] = []
        self._error = 1.0
        self._read: dict[bytes, list[Part]] = {}

    def fit(self, archs: Sequence[Arch], qualities: Sequence[float], rng: Generator) -> None:
        """Learn from these alone, on one thread: some seconds for 100."""
        self._networks, self._error = [], 1.0
        if len(archs) < FEWEST:
            return
        batch = batched(self._parts(archs))
        scores = torch.from_numpy(normal_scores(qualities)).float()
        held_out, squares = max(1, round(HELD_OUT * len(archs))), []
        with one_thread():
            for _ in range(self.members):
                order = torch.from_numpy(rng.permutation(len(archs)))
                network = train(batch, scores, order[held_out:], rng)
                with torch.no_grad():
                    squares.append((network(batch) - scores)[order[:held_out]] ** 2)
                self._networks.append(network)
        self._error = float(torch.cat(squares).mean())

    def predict(self, archs: Sequence[Arch]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (n,) of normal scores: disagreement, and the error on labels held out."""
        if not self._networks or not archs:
            return np.zeros(len(archs)), np.ones(len(archs))
        found = self._parts(archs)
        with one_thread(), torch.no_grad():
            batches = [batched(found[start : start + BLOCK]) for start in range(0, len(found), BLOCK)]
            each = torch.stack([torch.cat([network(b) for b in batches]) for network in self._networks]).double()
        spread = torch.sqrt(each.var(dim=0, correction=0) + self._error)
        return each.mean(dim=0).numpy(), spread.numpy()

    def _parts(self, archs: Sequence[Arch]) -> list[list[Part]]:
        """Return the parts of each; a network met before is not derived again."""
        keys = [row.tobytes() for row in active_options(self.space, archs).astype(np.int8)]
        for key, arch in zip(keys, archs, strict=True):
            if key not in self._read:
                self._read[key] = parts(self.space.graph(arch))
        return [self._read[key] for key in keys]


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: more only wait for each other on small tensors, and results would depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
