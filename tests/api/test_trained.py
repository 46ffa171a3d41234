"""What follows a search, from Python: what is passed on; the rest is tested with the search itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgenas
from edgenas.system.progress import SilentReporter
from edgenas.workflows.given import Given
from tests._toys import Shared

ARRAYS = np.zeros((12, 8, 8), dtype=np.uint8), np.arange(12) % 3


def test_ranking(fake):
    ranked = fake("ranking", answer="a ranking")
    assert edgenas.ranking("runs/one", networks=4, epochs=2, data_root=Path("data"), data=ARRAYS) == "a ranking"
    ((run, reporter), how), *_ = ranked.calls
    assert run == Path("runs/one") and type(reporter) is SilentReporter
    assert how == dict(networks=4, epochs=2, given=Given(data=ARRAYS), moved={"data_root": "data"})
    edgenas.ranking("runs/one", data=Path("digits"))
    assert ranked.calls[-1][1]["moved"] == {"data": str(Path.cwd() / "digits")}, "a path is never a name"
    edgenas.ranking("runs/one", data=Path("photos"), pretrained="efficientnet-lite0", weights=Path("w.pt"))
    how = ranked.calls[-1][1]
    assert how["moved"] == {"data": "photos", "pretrained": "efficientnet-lite0", "weights": "w.pt"}
    assert how["given"] == Given()


def test_train(fake):
    training = fake("train", answer="a network")
    assert edgenas.train("012", ARRAYS, space=Shared, final_epochs=3, output=Path("runs/one")) == "a network"
    ((config, arch, _), how), *_ = training.calls
    assert (arch, config.final_epochs, config.output, config.data) == ("012", 3, "runs/one", "arrays")
    assert how == {"given": Given(data=ARRAYS, space=Shared)}


def test_export(fake):
    exporting = fake("export", answer=Path("m.onnx"))
    assert edgenas.export("runs/one", "m.onnx", arch="012", dynamic_batch=True) == Path("m.onnx")
    ((run, _), how), *_ = exporting.calls
    assert run == Path("runs/one") and how == dict(
        arch="012", out=Path("m.onnx"), dynamic_batch=True, given=Given(), moved={}
    )


def test_export_takes_the_places_that_the_command_takes(fake):
    exporting = fake("export", answer=Path("m.onnx"))
    edgenas.export("runs/one", "m.onnx", cache=Path("fast"), weights=Path("w.pt"), download=True)
    assert exporting.calls[-1][1]["moved"] == {"cache": "fast", "weights": "w.pt", "download": True}


@pytest.mark.parametrize("function", [edgenas.ranking, lambda run, **how: edgenas.export(run, "m.onnx", **how)])
def test_what_the_run_is_about_may_be_said_again(fake, function):
    workflows = fake("export"), fake("ranking")
    function("runs/one", space="mbconv", strategy="random", runtime="onnxruntime")
    (call,) = (call for workflow in workflows for call in workflow.calls)
    assert call[1]["moved"] == {"space": "mbconv", "strategy": "random", "runtime": "onnxruntime"}
