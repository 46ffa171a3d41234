from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict, replace

import pytest

from edgenas.cli import main as cli
from edgenas.spaces.build import build_space
from edgenas.workflows.predict import Prediction
from tests.cli.fakes import python

ROW = Prediction("012", 1.25, 1.0, 1.5, 12_345_678, 300_000, 40_000, 1.75, 0.0)


@pytest.fixture
def rows(fake):
    """Rows that are predicted, three at first, and what was asked for."""
    predicting = fake("predict", answer=lambda *_, **__: iter(predicting.rows))
    predicting.rows = [ROW] * 3
    return predicting


def test_predict_prints_a_few_as_a_table(rows, capsys):
    assert cli.main(["predict", "--samples", "3"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["ms", "low", "high", "by", "MACs", "MACs", "params", "peak", "arch"]
    assert len(lines) == 3 and lines[0].split()[:4] == ["1.250", "1.000", "1.500", "1.750"] and lines[0].endswith("012")


def test_predict_says_how_much_is_estimated(rows, capsys):
    rows.rows[1] = replace(ROW, estimated_share=0.25)
    assert cli.main(["predict", "--samples", "3"]) == 0
    assert "up to 25 % of a latency is estimated" in capsys.readouterr().out


@pytest.mark.parametrize("many, words", [(7, []), (1, ["--csv"])])
def test_predict_prints_many_as_csv(rows, capsys, many, words):
    rows.rows *= many
    assert cli.main(["predict", "--samples", "3", *words]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "arch,latency_ms,low_ms,high_ms,macs,params,peak_bytes,macs_only_ms,estimated_share"
    assert lines == ["012,1.25,1,1.5,12345678,300000,40000,1.75,0"] * len(rows.rows)


def test_predict_prints_json(rows, capsys):
    assert cli.main(["predict", "--samples", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [asdict(row) for row in rows.rows]


def test_predict_of_codes_from_the_line_a_file_and_stdin(rows, tmp_path, monkeypatch):
    file = tmp_path / "codes.txt"
    file.write_text("012\n\n 345 \n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("012\n345\n"))
    for words in (["012", "345"], ["--archs", str(file)], ["--archs", "-"]):
        assert cli.main(["predict", *words, "--shape", "3x96x96", "--classes", "7", "--estimate-missing"]) == 0
    how = dict(archs=["012", "345"], samples=None, table=None, estimate_missing=True)
    assert [keywords for _, keywords in rows.calls] == [how] * 3
    assert {space.spec for (_, space), _ in rows.calls} == {build_space("mbconv", (3, 96, 96), 7).spec}


DEVICE = ["--device", "amd-epyc-zen4"]


@pytest.fixture(scope="module")
def codes() -> list[str]:
    done = python(
        "import sys; from edgenas.cli.main import main; main(sys.argv[1:])\n"
        "print(*[name for name in sys.modules if name.startswith('torch')], file=sys.stderr)",
        *("predict", "--samples", "2", "--csv", *DEVICE),
    )
    assert done.stderr.split() == [], "predict starts without torch"
    return [line.split(",")[0] for line in done.stdout.splitlines()[1:]]


def test_predict_from_a_shipped_table_needs_no_torch(codes):
    assert len(codes) == 2 and set(map(len, codes)) == {46}


def test_one_architecture_comes_with_where_its_time_goes(codes, capsys):
    assert cli.main(["predict", codes[0], *DEVICE]) == 0
    out = capsys.readouterr().out
    assert codes[0] in out.splitlines()[1] and "where the time goes" in out


def test_ops_of_several_architectures(codes, capsys):
    assert cli.main(["predict", *codes, *DEVICE, "--ops", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [model["model"] for model in shown] == codes and all(model["kernels"] for model in shown)
