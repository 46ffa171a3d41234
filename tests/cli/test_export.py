from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.cli import main as cli


@pytest.mark.parametrize(
    "words, how",
    [
        ([], dict(arch=None, dynamic_batch=False, moved={})),
        (["--arch", "012", "--dynamic-batch"], dict(arch="012", dynamic_batch=True, moved={})),
        (
            ["--data", "photos", "--weights", "my.pt"],
            dict(arch=None, dynamic_batch=False, moved={"data": "photos", "weights": "my.pt"}),
        ),
    ],
)
def test_export_says_where_the_file_is(fake, capsys, words, how):
    exporting = fake("export", answer=lambda run, reporter, *, out, **_: out)
    assert cli.main(["export", "runs/one", "--out", "m.onnx", *words]) == 0
    assert capsys.readouterr().out == "m.onnx\n"
    ((run, _), keywords), *_ = exporting.calls
    assert run == Path("runs/one") and keywords == {**how, "out": Path("m.onnx")}
