"""Finalists measured on their device: which results are taken, and which refused, by results that are made up."""

import hashlib
import math

import pytest

from edgenas.devices.confirm import FASTER_BY, FEWEST_ROUNDS, finalist_probes, finalist_timings
from edgenas.devices.ingest import Results
from edgenas.errors import NoisyMachine, TableError, UsageError
from edgenas.latency.table import LatencyTable
from edgenas.runtimes.base import Round
from edgenas.runtimes.decide import SLOWER_BY

CONDITIONS = {"processor": "Cortex-A76", "runtime": "onnxruntime", "threads": "1"}
TABLE = LatencyTable({"unit": "ms", "device": "pi5", "precision": "fp32", "reference_ms": "0.050", **CONDITIONS})
MODELS = {"finalist-0.onnx": b"fp32 of 0", "finalist-0.int8.onnx": b"int8 of 0", "finalist-1.onnx": b"fp32 of 1"}
NAMES = [("0", "int8"), ("0", "fp32"), ("1", "fp32")]


@pytest.fixture
def run_folder(tmp_path):
    for name, content in MODELS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def results(rounds=FEWEST_ROUNDS, reference_ms=0.050, wobble=0.0, **header):
    """A kit's results: finalist i takes i + 1 ms in each round."""
    probes = [{"kind": "reference", "id": "", "precision": "fp32", "sha256": ""}]
    for (number, precision), content in zip(NAMES, [MODELS[name] for name in sorted(MODELS)], strict=True):
        digest = hashlib.sha256(content).hexdigest()
        probes.append({"kind": "finalist", "id": number, "precision": precision, "sha256": digest})
    figures = {
        n: {0: Round(reference_ms), **{i: Round(i * (1 + wobble * (n % 2))) for i in range(1, 4)}}
        for n in range(rounds)
    }
    return Results({**CONDITIONS, **header}, {"bundle": True, "probes": probes}, figures)


def test_probes_are_the_reference_and_each_exported_model(run_folder):
    found = list(finalist_probes(run_folder))
    assert [(p.kind, p.id, p.precision) for p in found[1:]] == [("finalist", *name) for name in NAMES]
    assert found[0].kind == "reference" and found[2].model == b"fp32 of 0"


def test_without_exported_finalists_there_is_no_kit(tmp_path):
    with pytest.raises(UsageError, match="no finalist is exported there"):
        list(finalist_probes(tmp_path))


def test_timings_are_by_number_and_precision(run_folder):
    rows = finalist_timings(results(), run_folder, TABLE)
    assert {(n, p): row["ms"] for n, row in rows.items() for p, row in row.items()} == {
        ("0", "int8"): 1.0,
        ("0", "fp32"): 2.0,
        ("1", "fp32"): 3.0,
    }
    assert rows["0"]["fp32"]["threads"] == 1 and rows["0"]["fp32"]["repeat_error"] == 0


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"rounds": FEWEST_ROUNDS - 1}, TableError, "not finished"),
        ({"processor": "another"}, TableError, "measured with processor another"),
        ({"threads": "2"}, TableError, "measured with threads 2"),
        ({"reference_ms": 0.050 * SLOWER_BY + 0.001}, NoisyMachine, "the reference op takes"),
        ({"reference_ms": 0.050 / FASTER_BY - 0.001}, NoisyMachine, "the reference op takes"),
        ({"wobble": 0.1}, NoisyMachine, "repeat error"),
    ],
)
def test_results_that_cannot_decide_are_refused(run_folder, changes, error, words):
    with pytest.raises(error, match=words):
        finalist_timings(results(**changes), run_folder, TABLE)


def test_another_model_or_a_missing_figure_is_refused(run_folder):
    missing = results()
    for row in missing.rounds.values():
        row[3] = Round(math.nan)
    missing.failed[3] = "the op is not supported"
    with pytest.raises(TableError, match="finalist 1 has no fp32 figure: the op is not supported"):
        finalist_timings(missing, run_folder, TABLE)
    (run_folder / "finalist-1.onnx").write_bytes(b"another")
    with pytest.raises(TableError, match="finalist 1, fp32: the measured model is not that of"):
        finalist_timings(results(), run_folder, TABLE)


def test_results_of_a_space_are_no_finalists(run_folder):
    with pytest.raises(TableError, match="not results of a kit of finalists"):
        finalist_timings(Results(CONDITIONS, {"probes": []}), run_folder, TABLE)
