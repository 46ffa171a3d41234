"""Cells by the paper: its genotypes, its parameters, its shapes."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.cost.counts import CountCost
from edgenas.errors import UsageError
from edgenas.spaces.build import build_space
from edgenas.spaces.darts import DEPTHS, OPS, WIDTHS
from edgenas.spaces.sampling import sample

SPACE = build_space("darts", (3, 32, 32), 10)
SECOND_ORDER = (  # DARTS_V2, as its authors published it
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)


def sized(arch, width, cells):
    return (WIDTHS.index(width), DEPTHS.index(cells), *arch[2:])


def test_the_published_genotype_has_the_published_size():
    graph = SPACE.graph(sized(SPACE.parse(SECOND_ORDER), 36, 20))
    assert CountCost("params")(graph) == pytest.approx(3.349e6, rel=0.002)  # 3,349,342 in the authors' code
    assert f"{CountCost('params')(graph) / 1e6:.1f}" == "3.3"
    assert CountCost("macs")(graph) == pytest.approx(528e6, rel=0.01)


def test_a_genotype_is_written_as_it_was_read():
    arch = SPACE.parse(SECOND_ORDER)
    text = SPACE.published(arch)
    assert text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0)")
    assert text.endswith("('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))")
    assert SPACE.parse(text) == arch == SPACE.parse(SECOND_ORDER.removeprefix("Genotype(").removesuffix(")"))


def test_a_genotype_takes_the_largest_size_that_is_allowed():
    narrow = SPACE.restrict({"width": [0, 1], "cells": [0]})
    assert SPACE.values(narrow.parse(SECOND_ORDER)) | {"width": 16, "cells": 8} == SPACE.values(
        narrow.parse(SECOND_ORDER)
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (("'sep_conv_3x3', 0", "'sep_conv_9x9', 0"), "no op 'sep_conv_9x9'"),
        (("('sep_conv_3x3', 0), ", ""), "normal has 6 pairs"),
        (("('skip_connect', 0), ('dil", "('skip_connect', 2), ('dil"), r"node 5 of normal reads \[2, 2\]"),
        (("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), r"node 5 of normal reads \[0, 5\]"),
        (("normal_concat=[2, 3, 4, 5]", "normal_concat=[4, 5]"), r"normal_concat is \[4, 5\]"),
        (("('dil_conv_3x3', 2)", "dil_conv_3x3"), "normal is no list of pairs"),
    ],
)
def test_what_is_no_genotype_of_this_space_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        SPACE.parse(SECOND_ORDER.replace(*change))


@pytest.mark.parametrize("cells", DEPTHS)
def test_cells_are_stacked_as_in_the_paper(cells):
    """A reduction cell at a third and two thirds of the depth, each with half the side and twice the channels."""
    graph = SPACE.graph(sized(SPACE.parse(SECOND_ORDER), 16, cells))
    outputs = [node for node in graph if node.op.kind == "concat" and "." in node.name]
    assert len(outputs) == cells
    reductions = [i for i, node in enumerate(outputs) if node.name.endswith(".r")]
    assert reductions == [cells // 3, 2 * cells // 3]
    for i, node in enumerate(outputs):
        stage = sum(i >= reduction for reduction in reductions)
        assert node.shape == (4 * (16 << stage), 32 >> stage, 32 >> stage)


def test_large_images_begin_with_the_strided_stem():
    space = build_space("darts", (3, 224, 224), 1000)
    graph = space.graph(sample(space, np.random.default_rng(0)))
    assert next(node for node in graph if node.name == "s1.c1").shape[1:] == (28, 28)


def test_an_edge_of_a_normal_cell_keeps_the_side_and_skips_for_free():
    arch = list(SPACE.parse(SECOND_ORDER))
    for i, choice in enumerate(SPACE.choices):
        if choice.options == OPS:
            arch[i] = OPS.index("skip_connect")
    graph = SPACE.graph(tuple(arch))
    kinds = [node.op.kind for node in graph if node.name.startswith("s1.c2.") and node.op.kind not in ("act", "add")]
    assert kinds == ["conv", "conv"]  # the two inputs
    assert sum(node.op.kind == "factorized_reduce" for node in graph if node.name.startswith("s2.r.")) == 5


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="3x16x16; see --image-size and --shape"):
        build_space("darts", (3, 16, 16), 10)
