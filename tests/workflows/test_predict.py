"""Predictions from a table file."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.devices.probes import random_model
from edgenas.errors import MissingOps, UsageError
from edgenas.latency.table import LatencyTable, NetRow, write_table
from edgenas.system import plugins
from edgenas.workflows.config import make_config
from edgenas.workflows.predict import estimates, predict, predict_files, predict_ops, table_of
from tests.workflows._tasks import ARCHS, SPACE, table


@pytest.fixture
def file(tmp_path):
    write_table(tmp_path / "bench.csv", table())
    return tmp_path / "bench.csv"


def test_rows_are_in_the_order_of_the_codes_and_agree_with_their_ops(file):
    codes = [SPACE.code(arch) for arch in ARCHS[::5]]
    rows = list(predict(make_config({}), SPACE, archs=codes, table=file))
    assert [row.arch for row in rows] == codes
    assert all(row.low_ms <= row.latency_ms <= row.high_ms and row.estimated_share == 0 for row in rows)
    _, forecasts = predict_ops(make_config({}), SPACE, archs=codes, table=file)
    assert [f.latency_ms for f in forecasts] == pytest.approx([row.latency_ms for row in rows])


def test_samples_are_those_of_the_seed(file):
    drawn = [[row.arch for row in predict(make_config({"seed": s}), SPACE, samples=9, table=file)] for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_table_that_lacks_ops_is_not_guessed_from_unless_allowed(tmp_path):
    part = table().ops
    write_table(tmp_path / "part.csv", type(table())(table().header, dict(list(part.items())[: len(part) // 2])))
    config, codes = make_config({}), [SPACE.code(ARCHS[-1])]
    with pytest.raises(MissingOps, match="unprofiled"):
        list(predict(config, SPACE, archs=codes, table=tmp_path / "part.csv"))
    (row,) = predict(config, SPACE, archs=codes, table=tmp_path / "part.csv", estimate_missing=True)
    assert 0 < row.estimated_share <= 1


def test_files_are_corrected_by_networks_of_ones_own_space_once_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "predicted_own.py").write_text(
        "from edgenas.testing.tiny import Tiny\n\ndef build(shape, classes):\n    return Tiny(shape, classes)\n"
    )
    nets = tuple(NetRow("predicted_own 3x8x8 4", f"1{i}0", 0.1 + 0.01 * i, 0.2, 9) for i in range(3))
    write_table(tmp_path / "own.csv", replace(table(), nets=nets))
    model = tmp_path / "model.onnx"
    model.write_bytes(random_model(SPACE.graph(ARCHS[0]), "fp32", np.random.default_rng(0)))
    config = make_config({"space": "deep/predicted_own.py"})
    with pytest.warns(UserWarning, match="3 of 3 networks of the table are not used: predicted_own 3x8x8 4 100"):
        _, (before,) = predict_files(make_config({}), [model], table=tmp_path / "own.csv")
    plugins.name_own("spaces", config.space)
    _, (after,) = predict_files(config, [model], table=tmp_path / "own.csv")
    assert (before.nets, after.nets) == (0, 3)


def test_one_table_is_named(file):
    with pytest.raises(UsageError, match="give one of them"):
        table_of(make_config({"device": "amd-epyc-zen4"}), file)


def lacking(held: str) -> LatencyTable:
    """Half of the ops, and one network of a space."""
    full = table()
    half = dict(list(full.ops.items())[: len(full.ops) // 2])
    nets = tuple(replace(net, spec=held) for net in full.nets[:1]) or (NetRow(held, SPACE.code(ARCHS[0]), 1, 1, 9),)
    return LatencyTable(full.header, half, nets)


@pytest.mark.parametrize(
    "held, allowed",
    [
        (SPACE.spec, True),
        (f"{SPACE.name} 3x16x16 2", True),
        (f"{SPACE.name} 3x4x4 {SPACE.classes}", False),
        (f"{SPACE.name} 1x16x16 {SPACE.classes}", False),
        ("mbconv 3x8x8 4", False),
    ],
)
def test_what_the_kit_of_a_space_left_out_is_estimated_by_itself(tmp_path, held, allowed):
    write_table(tmp_path / "kit.csv", lacking(held))
    assert estimates(lacking(held), SPACE) == allowed

    def predicted(**how):
        return list(predict(make_config({}), SPACE, samples=5, table=tmp_path / "kit.csv", **how))

    if not allowed:
        with pytest.raises(MissingOps, match=f"the table is of {held}.*--estimate-missing"):
            predicted()
        return
    assert predicted() == predicted(estimate_missing=True)
    assert max(row.estimated_share for row in predicted()) > 0
    with pytest.raises(MissingOps):
        predicted(estimate_missing=False)
    _, (forecast,) = predict_ops(make_config({}), SPACE, archs=[SPACE.code(ARCHS[-1])], table=tmp_path / "kit.csv")
    assert 0 < forecast.estimated_share <= 1
