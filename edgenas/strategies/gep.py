"""Gene expression programming: genomes of fixed length, read as trees that score the options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.strategies.populations.generations import Generational, Plan, decoded, initial_for

if TYPE_CHECKING:
    from edgenas.system.checkpoint import State

PLAN = Plan(parents=6, patience=5)

# A symbol below 0 is a function x + w y or x - w y, any other one a terminal: an option, modulo the number of options.
PLUS, MINUS = -1, -2
TERMINALS = 60  # a multiple of 1 to 6, so that the options of every choice are equally likely
# The w of both functions: with a w below 1, trees hardly ever give two options one score.
WEIGHT = 0.6
FUNCTION_SHARE = 0.5  # half of the symbols that are drawn for a head are functions

# Rates per genome in the paper's examples; of mutations, the expected number.
MUTATIONS = 2.0
TRANSPOSED, ROOTED, GENE_TRANSPOSED = 0.1, 0.1, 0.1
ONE_POINT, TWO_POINT, GENE_RECOMBINED = 0.2, 0.5, 0.1
LONGEST_TRANSPOSON = 3

Genomes = NDArray[np.int64]  # (choices, symbols of a gene), after the number of genomes if there are several
Symbols = NDArray[np.int64]  # (n,)


class Genetics:
    """How the genomes of a space are drawn, varied and read.

    A genome has one gene per choice. A gene is a K-expression: its symbols are the nodes of a tree, level by level from
    the root; what the tree does not reach is kept and may serve later. Only the head holds functions and the tail has a
    symbol more than the head, so no function ever lacks an argument, whatever happens to the genome.

    A terminal scores its own option 1 and the ones after it, going round, 1/2, 1/3, ...; functions combine scores, and
    `decode` takes the best option at the root. Adding a number to all terminals of a gene turns its result by as much.
    """

    def __init__(self, space: SearchSpace, head: int, rng: Generator) -> None:
        """Draw genes with `head` symbols in their heads, two at least."""
        self.head, self.length = head, 2 * head + 1
        self.rng = rng
        self.sizes = np.array([len(choice.options) for choice in space.choices])
        self.same_options = [[j for j, b in enumerate(space.choices) if b.options == a.options] for a in space.choices]

    def random(self, n: int) -> Genomes:
        """Return `n` genomes of random symbols."""
        shape = (n, len(self.sizes), self.length)
        functions = self.rng.random(shape) < FUNCTION_SHARE
        functions[..., self.head :] = False
        return np.where(functions, self.rng.integers(MINUS, 0, size=shape), self.rng.integers(TERMINALS, size=shape))

    def scores(self, genomes: Genomes) -> NDArray[np.float64]:
        """Return what the trees of `genomes` make of every option: (genomes, choices, most options)."""
        distance = (np.arange(self.sizes.max()) - genomes[..., None]) % self.sizes[:, None, None]
        values = 1.0 / (1.0 + distance)
        # Every function has two arguments, level by level: those of the k-th function, from 1, are at 2 k - 1 and 2 k.
        functions = np.cumsum(genomes < 0, axis=-1)
        for place in reversed(range(self.head)):  # arguments come after their function
            # A terminal reads itself, with a weight of 0 on what lies behind it.
            symbol = genomes[..., place, None]
            first = np.where(symbol < 0, 2 * functions[..., place, None] - 1, place)[..., None]
            x, y = (np.take_along_axis(values, first + i, axis=-2)[..., 0, :] for i in (0, 1))
            weight = np.select([symbol == PLUS, symbol == MINUS], [WEIGHT, -WEIGHT], 0.0)
            values[..., place, :] = x + weight * y
        root: NDArray[np.float64] = values[..., 0, :]
        return root

    def express(self, space: SearchSpace, genomes: Genomes) -> list[Arch]:
        """Return the architectures of `genomes`."""
        return decoded(space, self.scores(genomes))

    def write(self, space: SearchSpace, genomes: Genomes, archs: Sequence[Arch]) -> Genomes:
        """Turn `genomes` to express `archs`; a gene that only another tree can turn becomes a single terminal."""
        wanted = np.array(archs)
        by = (wanted - np.array(self.express(space, genomes)))[..., None]
        turned = np.where(genomes < 0, genomes, (genomes + by) % TERMINALS)
        # A number of options that does not divide TERMINALS, or a mask of the space, can spoil a turn.
        wrong = np.array(self.express(space, turned)) != wanted
        turned[..., 0] = np.where(wrong, wanted, turned[..., 0])
        return turned

    def vary(self, genomes: Genomes) -> Genomes:
        """Return a child of each genome by mutation and transposition; children are recombined two by two."""
        children = genomes.copy()
        mutated = self.rng.random(genomes.shape) < MUTATIONS / genomes[0].size
        children[mutated] = self.random(len(genomes))[mutated]
        transpositions = [(TRANSPOSED, self.transpose), (ROOTED, self.root), (GENE_TRANSPOSED, self.transpose_gene)]
        for rate, transpose in transpositions:
            for i in np.flatnonzero(self.rng.random(len(children)) < rate):
                transpose(children[i])
        # With an odd number of children, the last one is not recombined.
        for a, b in zip(children[::2], children[1::2], strict=False):
            self.recombine(a, b)
        return children

    def transpose(self, genome: Genomes) -> None:
        """Do an IS transposition: a short sequence from anywhere is inserted in a head, behind the root."""
        start = int(self.rng.integers(genome.size))
        transposon = genome.ravel()[start : start + self._transposon_length()]
        self._insert(genome[self.rng.integers(len(genome))], transposon, int(self.rng.integers(1, self.head)))

    def root(self, genome: Genomes) -> None:
        """Do a RIS transposition: a short sequence from a function of a head on becomes that head's beginning."""
        gene = genome[self.rng.integers(len(genome))]
        start = int(self.rng.integers(self.head))
        functions = start + np.flatnonzero(gene[start : self.head] < 0)
        if len(functions):
            self._insert(gene, gene[functions[0] : functions[0] + self._transposon_length()], 0)

    def transpose_gene(self, genome: Genomes) -> None:
        """Let a gene replace that of a choice with the same options."""
        gene = int(self.rng.integers(len(genome)))
        genome[int(self.rng.choice(self.same_options[gene]))] = genome[gene]

    def recombine(self, a: Genomes, b: Genomes) -> None:
        """Do one-point, two-point and gene recombination, each at its rate."""
        if self.rng.random() < ONE_POINT:
            self._exchange(a, b, int(self.rng.integers(a.size)), a.size)
        if self.rng.random() < TWO_POINT:
            start, end = sorted(self.rng.integers(a.size + 1, size=2).tolist())
            self._exchange(a, b, start, end)
        if self.rng.random() < GENE_RECOMBINED:
            start = self.length * int(self.rng.integers(len(a)))
            self._exchange(a, b, start, start + self.length)

    def _insert(self, gene: Symbols, transposon: Symbols, place: int) -> None:
        """Insert `transposon` in the head at `place`; what it pushes out of the head is lost, the tail stays."""
        head = np.concatenate([gene[:place], transposon, gene[place : self.head]])
        gene[: self.head] = head[: self.head]

    def _exchange(self, a: Genomes, b: Genomes, start: int, end: int) -> None:
        """Exchange the symbols from `start` to `end`."""
        # A genome is contiguous, so `ravel` is a view of it and the exchange writes into both.
        part = np.s_[start:end]
        a.ravel()[part], b.ravel()[part] = b.ravel()[part].copy(), a.ravel()[part].copy()

    def _transposon_length(self) -> int:
        return int(self.rng.integers(1, LONGEST_TRANSPOSON + 1))


class GeneExpression(Generational):
    """Gene expression programming (Ferreira, 2001, arXiv:cs/0102027), with her operators and rates.

    Deviations, for some hundred evaluations:

    - There is no linking function: each gene's tree decides one choice, so every genome expresses a valid architecture.
    - As the place of a gene means something here, a transposed gene overwrites one of its kind, and moves no others.
    - Parents compete with their children and win tournaments, instead of a roulette wheel that keeps the best.
    - Initial individuals and repaired children are architectures first: a random genome is turned to express them.
    - Children are picked by cost before any is evaluated, a share is random, and a stalled search starts again.
    """

    reward_form = "hard"

    def __init__(
        self, problem: Problem, rng: Generator, plan: Plan = PLAN, *, head: int = 3, tournament_size: int = 3
    ) -> None:
        """Breed genomes with `head` symbols in their heads, two at least, from the winners of tournaments."""
        super().__init__(problem, rng, plan)
        self.genetics = Genetics(problem.space, head, rng)
        self.tournament_size = tournament_size
        self.genomes: dict[Arch, Genomes] = {}

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> GeneExpression:
        """Return it with as many initial individuals as suit the planned trials."""
        return cls(priced.problem, ctx.rng("gep"), replace(PLAN, initial=initial_for(priced.config.trials)))

    def _bred(self, n: int, attempt: int) -> list[Arch]:
        """Return children of winners of tournaments, after one more round of variation with every attempt."""
        parents = np.stack([self._genome(arch) for arch, _ in self.survivors])
        # Survivors are sorted: the best of a tournament has the lowest number.
        winners = self.rng.integers(len(parents), size=(n, self.tournament_size)).min(axis=1)
        genomes = parents[winners]
        for _ in range(1 + attempt):
            genomes = self.genetics.vary(genomes)
        archs = self.genetics.express(self.problem.space, genomes)
        # A survivor keeps its own genome where a child expresses the same architecture by another one.
        known = {arch: self.genomes[arch] for arch, _ in self.survivors}
        self.genomes = dict(zip(archs, genomes, strict=True)) | known
        return archs

    def _genome(self, arch: Arch) -> Genomes:
        """Return the genome that was bred as `arch`; an initial, random or repaired architecture gets a new one."""
        if arch not in self.genomes:
            self.genomes[arch] = self.genetics.write(self.problem.space, self.genetics.random(1), [arch])[0]
        return self.genomes[arch]

    def state_dict(self) -> State:
        """Return the state of a generational strategy, and the genomes of all that may still become a parent."""
        alive = dict.fromkeys([*self.waiting, *(arch for arch, _ in [*self.told, *self.survivors])])
        genomes = [(arch, self.genomes[arch].tolist()) for arch in alive if arch in self.genomes]
        return super().state_dict() | {"genomes": genomes}

    def load_state_dict(self, state: State) -> None:
        """Go on from there."""
        super().load_state_dict(state)
        self.genomes = {tuple(arch): np.array(genome) for arch, genome in state["genomes"]}
