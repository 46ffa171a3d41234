from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.cost.counts import Counts
from edgenas.latency.missing_ops import Estimator, fit_estimator, op_kind
from edgenas.latency.table import LatencyTable, OpRow
from tests.latency.tables import HEADER

POINTWISE = [f"conv k1 s1 g1 relu {out} | 16x8x8" for out in range(8, 64, 8)]
DEPTHWISE = [f"conv k{k} s1 g16 relu 16 | 16x{side}x{side}" for k in (3, 5) for side in range(4, 12)]
KEYS = [*POINTWISE, *DEPTHWISE, "add | 16x8x8", "global_pool | 16x8x8", "linear 10 | 16x1x1"]

work = st.floats(0, 1e9)
rows = st.builds(lambda ms, macs, moved: OpRow(ms, ms, 1, macs, 0, moved), st.floats(1e-4, 1e3), work, work)
tables = st.dictionaries(st.sampled_from(KEYS), rows, min_size=1).map(lambda ops: LatencyTable(HEADER, ops))


def test_kinds():
    kinds = {
        "conv k1 s1 g1 relu 32 | 16x8x8": "pointwise",
        "conv k3 s1 g1 relu 32 | 16x8x8": "conv",
        "conv k3 s2 g16 none 16 | 16x8x8": "depthwise",
        "conv k3 s1 g4 relu 32 | 16x8x8": "conv",
        "conv k3 s1 g1 relu 8 | 1x8x8": "conv",  # one input channel is no depthwise convolution
        "se 4 | 16x8x8": "se",
        "pool max k3 s1 | 16x8x8": "pool",
        "concat | 4x8x8 + 4x8x8": "concat",
    }
    assert {key: op_kind(key) for key in kinds} == kinds


@settings(max_examples=60)
@given(tables, st.sampled_from([*KEYS, "se 4 | 16x8x8"]), work, work, work, work)
def test_monotone_in_work_and_never_negative(table, key, macs, moved, more_macs, more_bytes):
    estimator = fit_estimator(table)
    less = estimator(key, Counts(macs, 0, moved))
    assert 0 <= less <= estimator(key, Counts(macs + more_macs, 0, moved + more_bytes)) * (1 + 1e-9)
    assert estimator.error >= 0


def law(macs: float, moved: float, rates: tuple[float, float, float]) -> OpRow:
    a, b, c = rates
    return OpRow(a * macs + b * moved + c, 1, 1, macs, 0, moved)


def test_recovers_the_rates_of_each_kind():
    pointwise, depthwise = (1e-7, 2e-8, 0.01), (8e-7, 1e-8, 0.02)
    ops = {key: law(1e5 * (i + 1), 1e4 * (i % 3 + 1), pointwise) for i, key in enumerate(POINTWISE)}
    ops |= {key: law(1e5 * (i + 1), 1e4 * (i % 3 + 1), depthwise) for i, key in enumerate(DEPTHWISE)}
    estimator = fit_estimator(LatencyTable(HEADER, ops))
    unseen = Counts(3e6, 0, 5e4)
    for key, rates in (("conv k1 s1 g1 relu6 96 | 8x8x8", pointwise), ("conv k3 s2 g8 relu 8 | 8x8x8", depthwise)):
        assert estimator(key, unseen) == pytest.approx(law(unseen.macs, unseen.bytes, rates).ms, rel=1e-3)
    assert estimator.error < 1e-3


def test_a_kind_without_rows_uses_the_rates_of_all():
    ops = {key: law(1e5 * (i + 1), 1e4, (1e-7, 0.0, 0.01)) for i, key in enumerate(POINTWISE)}
    estimator = fit_estimator(LatencyTable(HEADER, ops))
    assert estimator("se 4 | 16x8x8", Counts(2e5, 0, 1e4)) == pytest.approx(0.03, rel=1e-3)


@pytest.mark.parametrize("block", [1, 8, 16])
def test_finds_the_block_that_channels_are_computed_in(block):
    def padded(channels):
        return -(-channels // block) * block

    ops = {}
    for c in (12, 16, 20, 24, 36, 48):
        for out in (12, 20, 28, 32, 40):
            work = padded(c) * padded(out) * 64
            ops[f"conv k1 s1 g1 relu {out} | {c}x8x8"] = OpRow(1e-7 * work + 0.001, 1, 1, c * out * 64, 0, 1e4)
    estimator = fit_estimator(LatencyTable(HEADER, ops))
    assert estimator.block == block and estimator.error < 1e-3
    ms = estimator("conv k1 s1 g1 relu 44 | 44x8x8", Counts(44 * 44 * 64, 0, 1e4))
    assert ms == pytest.approx(1e-7 * padded(44) ** 2 * 64 + 0.001, rel=1e-3)


@pytest.mark.parametrize(
    "key, rate",
    [
        ("conv k3 s1 g4 relu 32 | 32x8x8", 4.0),  # groups run at a rate of their own
        ("conv k1 s1 g1 relu 58 | 58x8x8", 3.0),  # so do channels that are no multiple of 4
        ("conv k1 s1 g1 hswish 64 | 64x8x8", 1.0),  # no rows of its own: the rate of its kind
        ("conv k1 s1 g1 hswish 58 | 58x8x8", 3.0),
    ],
)
def test_an_op_is_estimated_from_its_closest_kin(key, rate):
    ops = {f"conv k3 s1 g4 relu {c} | {c}x8x8": law(1e5 * c, 1, (4e-7, 0, 0)) for c in range(16, 128, 16)}
    ops |= {f"conv k1 s1 g1 relu {c} | {c}x8x8": law(1e5 * c, 1, (3e-7, 0, 0)) for c in range(6, 60, 8)}
    ops |= {f"conv k1 s1 g1 relu {c} | {c}x8x8": law(1e5 * c, 1, (1e-7, 0, 0)) for c in range(16, 720, 16)}
    ms = fit_estimator(LatencyTable(HEADER, ops))(key, Counts(1e7, 0, 1))
    assert ms == pytest.approx(rate, rel=0.2)


def test_the_error_is_that_of_rows_left_out():
    """A kind whose times jump by 2 cannot be estimated better than that."""
    ops = {key: OpRow(1.0 + i % 2, 1, 1, 1e5, 0, 1e4) for i, key in enumerate(POINTWISE)}
    assert 0.3 < fit_estimator(LatencyTable(HEADER, ops)).error <= 1.0


def test_without_rows_of_one_kind_to_check_on_the_error_is_total():
    ops = {POINTWISE[0]: law(1e5, 1e4, (1e-7, 0.0, 0.01))}
    assert fit_estimator(LatencyTable(HEADER, ops)).error == 1.0


def test_an_estimate_is_the_affine_law():
    estimator = Estimator({"": (1.0, 10.0, 100.0)}, 0.1)
    assert estimator("add | 1x1x1", Counts(1, 5, 2)) == 121
