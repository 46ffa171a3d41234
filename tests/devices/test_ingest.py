"""What becomes of a kit's results: tables, or a refusal that names the line."""

import re

import pytest

from edgenas.devices import ingest
from edgenas.devices.runner import kit_hash
from edgenas.errors import DamagedTable, NoisyMachine, TableError
from edgenas.workflows.ingest import ingest as to_tables
from tests.devices.conftest import lines_of, make_kit, write

pytestmark = pytest.mark.usefixtures("any_noise")


def test_results_become_one_table_for_each_precision(kit_results, tmp_path):
    written = dict(to_tables(kit_results, out=tmp_path))
    assert {str(path.relative_to(tmp_path)) for path in written} == {
        "board/onnxruntime-1t-fp32.csv",
        "board/onnxruntime-1t-int8.csv",
    }
    for table in written.values():
        assert len(table.ops) > 5 and len(table.nets) == 8 and table.device == "board"
        assert re.fullmatch(r"3 networks, mean error [\d.]+%, \d+% within 10%", table.header["test"])
        assert table.header["kit"] and table.header["processor"] and float(table.header["repeat_error"]) >= 0
        assert all(row.ms > 0 and row.bytes > 0 for row in table.ops.values())
    fp32, int8 = written.values()
    assert fp32.ops.keys() == int8.ops.keys()


def _header(lines, **changes):
    head = {**lines[0], "header": {**lines[0]["header"], **changes}}
    return [head, *lines[1:]]


def _entry(lines, **changes):
    probes = list(lines[0]["manifest"]["probes"])
    probes[3] = {**probes[3], **changes}
    manifest = {**lines[0]["manifest"], "probes": probes}
    manifest["kit"] = kit_hash(manifest)
    return [{**lines[0], "kit": manifest["kit"], "manifest": manifest}, *lines[1:]]


def _finalist(lines, lacking):
    changed = _entry(lines, kind="finalist")
    del changed[0]["manifest"]["probes"][3][lacking]
    return _manifest(changed)


def _manifest(lines, **changes):
    manifest = {**lines[0]["manifest"], **changes}
    manifest["kit"] = kit_hash(manifest)
    return [{**lines[0], "kit": manifest["kit"], "manifest": manifest}, *lines[1:]]


def _round(lines, **changes):
    return [*lines[:-1], {**lines[-1], **changes}]


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda lines: lines + _header(lines, device="other"), "line .*device is other, before it was board"),
        (lambda lines: lines + lines[1:], "twice: two measurements"),
        (lambda lines: _header(lines, unit="s"), "unit is 's', expected ms"),
        (lambda lines: [{**lines[0], "kit": "f" * 64}, *lines[1:]], "manifest is not as it was made"),
        (
            lambda lines: [{**lines[0], "manifest": lines[0]["manifest"] | {"seed": 7}}, *lines[1:]],
            "not as it was made",
        ),
        (lambda lines: _header(lines, threads="many"), "threads: 'many' is no number"),
        (lambda lines: _header(lines, adapted_margin="wide"), "adapted_margin: 'wide' is not a number"),
        (lambda lines: _header(lines, device="../../elsewhere"), "device '../../elsewhere' is no name"),
        (lambda lines: _round(lines, ms=float("nan")), "no plausible round"),
        (lambda lines: _round(lines, ms=-1.0), "no plausible round"),
        (lambda lines: _round(lines, ms=1e9), "no plausible round"),
        (lambda lines: _round(lines, probe=10_000), "no plausible round"),
        (lambda lines: _round(lines, runs="many"), "not a round"),
        (lambda lines: _round(lines, ms="1_0"), "not a round"),
        (lambda lines: _round(lines, ms=1e-320), "no plausible round"),
        (lambda lines: _round(lines, slot=1.5), "not a round"),
        (lambda lines: _round(lines, ms=10**400), "no plausible round"),
        (lambda lines: lines[1:], "begins with its header"),
        (lambda lines: lines[:1], "no results in it"),
        (lambda lines: [line for line in lines if line.get("slot", 0) < 4], "not finished"),
        (lambda lines: [lines[0], [1, 2], *lines[1:]], "line 2: not a line of results"),
        (lambda lines: _header(lines, processor="x\n# unit: s"), "header's 'processor' is .*no line of text"),
        (lambda lines: _entry(lines, id="a\nb"), "probe 3 of its kit is implausible"),
        (lambda lines: _entry(lines, macs=-1), "probe 3 of its kit is implausible"),
        (lambda lines: _entry(lines, macs=10**400), "probe 3 of its kit is implausible"),
        (lambda lines: _entry(lines, bytes="1"), "probe 3 of its kit is implausible"),
        (lambda lines: _entry(lines, precision={}), "probe 3 of its kit is implausible"),
        (lambda lines: _manifest(lines, probes=0.5), "the probes of its kit are no list"),
        (lambda lines: _entry(lines, bytes="many"), "probe 3 of its kit is implausible: its bytes is 'many'"),
        (lambda lines: _entry(lines, kind="op", macs=None), "probe 3 of its kit is implausible: its macs is None"),
        (lambda lines: _entry(lines, pairs=[[1]]), r"probe 3 of its kit is implausible: its pairs is \[\[1\]\]"),
        (lambda lines: _entry(lines, pairs=[[["1x1x1"]]]), "its pairs is"),
        (lambda lines: _entry(lines, pairs=["1x1x1"]), "its pairs is '?.*1x1x1"),
        (lambda lines: _entry(lines, sha256=7), "probe 3 of its kit is implausible: its sha256 is 7"),
        (lambda lines: _entry(lines, sha256="f" * 63), "its sha256 is"),
        (lambda lines: _finalist(lines, "sha256"), "probe 3 of its kit is implausible: its sha256 is missing"),
        (lambda lines: _entry(lines, **lines[0]["manifest"]["probes"][2]), "probe 3 .*there twice"),
    ],
)
def test_results_that_cannot_be_trusted_are_refused(kit_results, tmp_path, change, reason):
    path = write(tmp_path / "spoilt.jsonl", change(lines_of(kit_results)))
    with pytest.raises(TableError, match=reason) as caught:
        to_tables(path, out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
    assert isinstance(caught.value, DamagedTable) == (not re.search("device is other|not finished", reason))


def test_lines_that_are_nested_too_deep_are_refused(kit_results, tmp_path):
    path = write(tmp_path / "nested.jsonl", lines_of(kit_results))
    path.write_text(path.read_text() + "[" * 200_000 + "\n")
    with pytest.raises(DamagedTable, match="nested too deep"):
        to_tables(path, out=tmp_path / "tables")


@pytest.mark.parametrize("lines, rounds, named", [(-2, 6, "1 of 6 rounds lack probes"), (None, 8, "6 of 8 rounds")])
def test_results_that_are_cut_off_at_the_end_of_a_line_are_noticed(kit_results, tmp_path, lines, rounds, named):
    cut = write(tmp_path / "cut.jsonl", _header(lines_of(kit_results)[:lines], rounds=rounds))
    with pytest.warns(UserWarning, match=named):
        ingest.read_results(cut)


def test_results_of_another_kit_are_refused(kit_results, tmp_path):
    make_kit(tmp_path / "other.zip", seed=1)
    with pytest.raises(TableError, match="another kit"):
        to_tables(kit_results, kit=tmp_path / "other.zip", out=tmp_path)


def test_rows_that_do_not_repeat_make_no_table(kit_results, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "WORST_REPEAT_ERROR", -1.0)
    with pytest.raises(NoisyMachine, match="repeat error"):
        to_tables(kit_results, out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_noisy_results_make_no_table(kit_results, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "MIN_CLEAN_SHARE", 0.2)
    lines = lines_of(kit_results)
    noisy = [lines[0], *({**line, "clean_share": 0.1} for line in lines[1:])]
    with pytest.raises(NoisyMachine):
        to_tables(write(tmp_path / "noisy.jsonl", noisy), out=tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_networks_that_took_another_time_than_their_ops_say_are_a_doubt(kit_results, tmp_path):
    head, *rows = lines_of(kit_results)
    tests = {i for i, probe in enumerate(head["manifest"]["probes"]) if probe["kind"] == "test"}
    slowed = [{**row, "ms": row["ms"] and 20 * row["ms"]} if row["probe"] in tests else row for row in rows]
    for _, table in to_tables(write(tmp_path / "slowed.jsonl", [head, *slowed]), out=tmp_path):
        assert "only 5 whole networks" in table.header["doubt"]
