from __future__ import annotations

from pathlib import Path

from edgenas.cli import main as cli
from edgenas.workflows.config import Config, make_config
from tests.cli.conftest import written


def test_tables_of_a_device(fake, capsys):
    header = {"device": "pi5", "precision": "int8", "repeat_error": "0.0123"}
    ingesting = fake("ingest", answer=written(header))
    assert cli.main(["ingest", "r.jsonl", "--kit", "kit.zip", "--out", "tables"]) == 0
    assert capsys.readouterr().out.startswith("pi5, int8: 1 ops")
    assert ingesting.calls == [((Path("r.jsonl"),), dict(kit=Path("kit.zip"), out=Path("tables"), config=Config()))]


def test_what_the_kit_is_of_may_be_named(fake):
    ingesting = fake("ingest", answer=written({"device": "pi5", "precision": "fp32", "repeat_error": "0.01"}))
    assert cli.main(["ingest", "r.jsonl", "--pretrained", "mine:network", "--image-size", "96"]) == 0
    assert ingesting.calls[0][1]["config"] == make_config({"pretrained": "mine:network", "image_size": 96})


def test_finalists_of_a_run_give_its_result(fake, found, capsys):
    confirming = fake("confirm", answer=found)
    assert cli.main(["ingest", "confirmed.jsonl", "--bundle", "runs/pi5", "--strategy", "my.strategy"]) == 0
    assert capsys.readouterr().out.startswith("Budget met: 18.42 ms")
    ((results, run, _), how), *_ = confirming.calls
    assert (results, run, how) == (
        Path("confirmed.jsonl"),
        Path("runs/pi5"),
        dict(kit=None, moved={"strategy": "my.strategy"}),
    )
