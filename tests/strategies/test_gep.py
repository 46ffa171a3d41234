from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.exploration.feasible import uniform
from edgenas.strategies.gep import FUNCTION_SHARE, MINUS, PLAN, PLUS, TERMINALS, GeneExpression, Genetics
from tests.strategies._synthetic import Toy, leads_over_random, rewarded, synthetic

SPACE = Toy(4)
OPERATORS = ("transpose", "root", "transpose_gene")


def genetics(seed: int = 0, head: int = 3) -> Genetics:
    return Genetics(SPACE, head, np.random.default_rng(seed))


def places(gene) -> int:
    """Symbols that the tree of a gene reaches: each function asks for two more."""
    asked, read = 1, 0
    while asked:
        asked += 1 if gene[read] < 0 else -1
        read += 1
    return read


def tree(gene, place: int, option: int, size: int) -> float:
    """The score by recursion, straight from the definition."""
    symbol = gene[place]
    if symbol >= 0:
        return 1 / (1 + (option - symbol) % size)
    first = 1 + 2 * int(np.count_nonzero(np.array(gene[:place]) < 0))
    x, y = (tree(gene, first + i, option, size) for i in (0, 1))
    return x + 0.6 * y if symbol == PLUS else x - 0.6 * y


def is_valid(genomes, head: int) -> bool:
    """Functions in heads only, and every tree ends within its gene."""
    genes = genomes.reshape(-1, 2 * head + 1)
    in_range = ((genes >= MINUS) & (genes < TERMINALS)).all() and (genes[:, head:] >= 0).all()
    return bool(in_range) and all(places(gene) <= genes.shape[1] for gene in genes)


@pytest.mark.parametrize(
    "gene, scores",  # of three options
    [
        ([1, 0, 0, 0, 0], [1 / 3, 1, 1 / 2]),
        ([61, 0, 0, 0, 0], [1 / 3, 1, 1 / 2]),
        ([PLUS, 0, 1, 2, 2], [1 + 0.2, 0.5 + 0.6, 1 / 3 + 0.3]),
        ([MINUS, 0, 1, 2, 2], [1 - 0.2, 0.5 - 0.6, 1 / 3 - 0.3]),
        # The root's second argument is a function, whose arguments follow.
        ([MINUS, 0, PLUS, 0, 0], [1 - 0.6 * 1.6, 0.5 - 0.6 * 0.8, (1 - 0.6 * 1.6) / 3]),
    ],
)
def test_a_gene_is_a_tree_level_by_level(gene, scores):
    kernel = SPACE.index["k0"]
    genomes = np.zeros((1, len(SPACE.choices), 7), dtype=np.int64)
    genomes[0, kernel, : len(gene)] = gene
    assert genetics(head=3).scores(genomes)[0, kernel] == pytest.approx(scores)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_scores_are_those_of_the_trees(seed, head):
    parts = genetics(seed, head)
    genomes = parts.random(3)
    scores = parts.scores(genomes)
    for genome, rows in zip(genomes, scores, strict=True):
        for gene, row, size in zip(genome, rows, parts.sizes, strict=True):
            assert row[:size] == pytest.approx([tree(gene.tolist(), 0, option, size) for option in range(size)])


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(1, 30))
def test_whatever_happens_to_a_genome_it_expresses_a_valid_architecture(seed, head, generations):
    parts = genetics(seed, head)
    genomes = parts.random(5)
    for _ in range(generations):
        parents, genomes = genomes, parts.vary(genomes)
        assert genomes.shape == parents.shape
    assert is_valid(genomes, head)
    for arch in parts.express(SPACE, genomes):
        SPACE.check(arch)


@pytest.mark.parametrize("operator", OPERATORS)
@given(seed=st.integers(0, 2**32 - 1))
def test_transposition_changes_one_gene_and_keeps_tails(operator, seed):
    parts = genetics(seed, head=4)
    before = parts.random(1)[0]
    after = before.copy()
    getattr(parts, operator)(after)
    changed = np.flatnonzero((before != after).any(axis=1))
    assert len(changed) <= 1 and is_valid(after, 4)
    for gene in changed:
        if operator == "transpose":
            assert before[gene, 0] == after[gene, 0] and (before[gene, 4:] == after[gene, 4:]).all()
        elif operator == "root":
            assert after[gene, 0] < 0 and (before[gene, 4:] == after[gene, 4:]).all()
        else:
            assert any((after[gene] == before[other]).all() for other in parts.same_options[gene])


@given(st.integers(0, 2**32 - 1))
def test_recombination_exchanges_symbols_place_by_place(seed):
    parts = genetics(seed)
    before = parts.random(2)
    after = before.copy()
    parts.recombine(after[0], after[1])
    kept, exchanged = (after == before).all(axis=0), (after == before[::-1]).all(axis=0)
    assert (kept | exchanged).all()


def test_every_operator_happens(monkeypatch):
    parts, happened = genetics(), dict.fromkeys((*OPERATORS, "recombine"), 0)

    def count(name, original):
        def counted(*genomes):
            happened[name] += 1
            original(*genomes)

        return counted

    for name in happened:
        monkeypatch.setattr(parts, name, count(name, getattr(parts, name)))
    parts.vary(parts.random(1000))
    assert happened["recombine"] == 500
    assert all(60 < happened[name] < 140 for name in OPERATORS)


def test_mutations_are_as_many_as_the_paper_says(monkeypatch):
    parts = genetics()
    for name in (*OPERATORS, "recombine"):
        monkeypatch.setattr(parts, name, lambda *genomes: None)
    genomes = parts.random(2000)
    changed = np.count_nonzero(parts.vary(genomes) != genomes, axis=(1, 2)).mean()
    # Two symbols are drawn again; a terminal hardly ever as it was, a head's symbol with even odds as a function.
    assert 2 * (1 - FUNCTION_SHARE**2) < changed < 2.0


def test_random_genomes_express_options_equally_often():
    parts = genetics()
    archs = np.array(parts.express(SPACE, parts.random(6000)))
    for column, size in zip(archs.T, parts.sizes, strict=True):
        assert np.bincount(column, minlength=size) == pytest.approx(6000 / size, rel=0.1)


@pytest.mark.parametrize("allowed", [{}, {"k0": [0, 2], "e1": [1], "depth": [1, 2]}])
def test_a_genome_can_be_written_for_any_architecture(rng, allowed):
    space, parts = SPACE.restrict(allowed), genetics()
    archs = uniform(space, rng, 300)
    random = parts.random(300)
    written = parts.write(space, random, archs)
    assert parts.express(space, written) == archs and is_valid(written, 3)
    assert ((written < 0) == (random < 0)).all(axis=2).mean() > 0.9  # trees keep their shape


def test_children_resemble_the_best(rng):
    problem = synthetic(SPACE, 2.0)
    strategy = GeneExpression(problem, rng, replace(PLAN, parents=1))
    initial = strategy.ask(16)
    strategy.tell(rewarded(initial, [float(i == 7) for i in range(16)]))
    strategy.ask()
    distances = [
        np.count_nonzero(np.array(strategy._bred(500, attempt)) != np.array(initial[7]), axis=1).mean()
        for attempt in (0, 2, 5)
    ]
    assert distances == sorted(distances) and distances[0] < 1.5 and distances[2] < len(SPACE.choices) / 2


def test_a_state_holds_no_genome_but_those_of_possible_parents(rng):
    strategy = GeneExpression(synthetic(SPACE, 0.5), rng)
    for _ in range(6):
        archs = strategy.ask(4)
        strategy.tell(rewarded(archs, [float(np.mean(arch)) for arch in archs]))
    alive = {*strategy.waiting, *(arch for arch, _ in [*strategy.told, *strategy.survivors])}
    state = strategy.state_dict()
    assert {arch for arch, _ in state["genomes"]} <= alive and len(strategy.genomes) > len(alive)


@pytest.mark.parametrize("budget_share", [0.15, 0.6])
def test_beats_random(tmp_path, budget_share):
    """Mean of 8 seeds at equal evaluations, under a tight and a loose budget."""
    leads = leads_over_random(
        tmp_path,
        lambda problem, rng: GeneExpression(problem, rng, replace(PLAN, initial=8)),
        Toy(6),
        budget_share,
        seeds=8,
        trials=60,
    )
    assert leads.mean() > 2 * leads.std() / np.sqrt(8)
