from __future__ import annotations

from pathlib import Path

from edgenas.cli import main as cli
from tests.cli.conftest import written


def test_tables_of_a_device(fake, capsys):
    header = {"device": "pi5", "precision": "int8", "repeat_error": "0.0123"}
    ingesting = fake("ingest", answer=written(header))
    assert cli.main(["ingest", "r.jsonl", "--kit", "kit.zip", "--out", "tables"]) == 0
    assert capsys.readouterr().out.startswith("pi5, int8: 1 ops")
    assert ingesting.calls == [((Path("r.jsonl"),), dict(kit=Path("kit.zip"), out=Path("tables")))]


def test_finalists_of_a_run_give_its_result(fake, found, capsys):
    confirming = fake("confirm", answer=found)
    assert cli.main(["ingest", "confirmed.jsonl", "--bundle", "runs/pi5"]) == 0
    assert capsys.readouterr().out.startswith("Budget met: 18.42 ms")
    ((results, run, _), how), *_ = confirming.calls
    assert (results, run, how) == (Path("confirmed.jsonl"), Path("runs/pi5"), dict(kit=None))
