"""A search among the cuts of a trained network, for a device elsewhere, so that nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.errors import Interrupted
from edgenas.exporters.bundle import verify_bundle
from edgenas.nn.network import Network
from edgenas.system import checkpoint
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.export import export
from edgenas.workflows.given import Given
from edgenas.workflows.search import search
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.source_run import settings
from edgenas.workflows.specialize import specialize
from edgenas.workflows.stages.codes import is_member
from edgenas.workflows.stages.deliver import decisive_accuracies
from tests.pretrained._networks import lite, stirred
from tests.pretrained.converter.test_space import space_of

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}
PHOTOS, SIDE = 16, 96
NETWORK = "tests.pretrained._networks:lite"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos of three colours under noise, and the weights of a network of one's own."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for split, count in (("train", PHOTOS), ("test", 6)):
            (folder / "photos" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(colour, 60, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / split / name / f"{i}.png")
    torch.save(stirred(lite()).state_dict(), folder / "mine.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


def asked(place: Path, output: str, **more) -> dict:
    named = {"pretrained": NETWORK, "weights": str(place / "mine.pt"), "data": str(place / "photos")}
    named |= {"image_size": SIDE, "device": "amd-epyc-zen4", "budget_ms": 0.2, "output": str(place / output)}
    return named | {"trials": 4, "finalists": 1, "final_epochs": 1, "int8": False, "validation_share": 0.25, **more}


@pytest.fixture(scope="module")
def found(place):
    return search(make_config(asked(place, "run")), SilentReporter())


def test_the_way_of_a_run(place, found):
    """Teacher, what each option costs, trials, finalists and controls beside them."""
    run = place / "run"
    assert found.strategy == "milp" and set(found.controls) == {"ladder", "uniform", "largest"}
    folds = json.loads((run / "folds-0.json").read_text())["accuracy"]  # as photos are few
    assert folds[found.arch] == max(folds.values()) and {row["arch"] for row in found.controls.values()} <= set(folds)
    losses = json.loads((run / "replacement.json").read_text())
    assert losses["options"].keys() == found.choices.keys()
    assert checkpoint.load(run / "supernet.pt")["step"] == 0, (
        "cuts of a teacher need no training before they are compared"
    )


def test_cuts_begin_with_the_teacher_s_weights(place, found):
    config = checked_names(make_config(asked(place, "other")), Given())
    space = plain_task(config, Given()).space
    teacher = Network(space.graph(space.whole))
    teacher.load_state_dict(checkpoint.load(place / "run" / "teacher.pt")["module"])
    shared = checkpoint.load(place / "run" / "supernet.pt")["module"]
    for group, tensor in teacher.grouped().items():
        name = f"shared.{group.rpartition('.')[0]}:{group.rpartition('.')[2]}"
        key = next((k for k in shared if k.replace("/", ".") == name), None)
        if key is not None:  # in another order of channels
            assert np.allclose(np.sort(tensor, axis=None), np.sort(shared[key].numpy(), axis=None))


@pytest.mark.slow
@pytest.mark.parametrize("moment", [3, 6, 9, 12])
def test_stopped_at_any_stage_it_ends_as_it_would_have(place, found, moment):
    """Asked to stop at one of the moments at which it may, and then resumed."""
    seen, config = iter(range(moment)), asked(place, f"stopped-{moment}")
    with pytest.raises(Interrupted):
        search(make_config(config), SilentReporter(), stop=lambda: next(seen, None) is None)
    again = search(make_config({**config, "resume": True}), SilentReporter())
    assert (again.arch, again.test_accuracy, again.controls) == (found.arch, found.test_accuracy, found.controls)


@pytest.mark.slow
def test_another_budget_on_its_weights(place, found):
    asked = {"budget_ms": 0.15, "output": str(place / "less"), "trials": 4, "final_epochs": 1, "int8": False}
    config = settings(place / "run", asked)
    less = specialize(config, place / "run", SilentReporter())
    assert less.predicted_high_ms <= 0.15 and less.source == "run" and less.strategy == "milp"


@pytest.mark.slow
def test_without_controls_none_is_trained(place):
    alone = search(make_config(asked(place, "alone", controls="none")), SilentReporter())
    assert alone.controls == {} and len(list((place / "alone").glob("finalist-*.pt"))) == 1


@pytest.fixture
def smaller(monkeypatch):
    """A smaller network of the family, which is found to be the best of all."""

    def space(config, shape, classes):
        found = space_of("resnet", shape[1], classes)[1]
        return found.restrict({choice.name: [0] for choice in found.choices if choice.name != "resolution"})

    def decisive(priced, finalists, attempt, ctx):
        accuracy, folds = decisive_accuracies(priced, finalists, attempt, ctx)
        assert folds is not None and {finalist.code for finalist in finalists.values()} == set(folds.accuracy)
        return {n: 2.0 if is_member(finalists[n].code) else share for n, share in accuracy.items()}, folds

    monkeypatch.setattr("edgenas.workflows.stages.codes.smaller_space", space)
    monkeypatch.setattr("edgenas.workflows.stages.deliver.decisive_accuracies", decisive)


@pytest.mark.slow
def test_a_smaller_network_of_the_family_is_a_control_and_delivered_where_it_is_the_best(place, smaller, tmp_path):
    config = asked(place, "smaller", budget_ms=3.0, image_size=64, trials=2)
    found = search(make_config(config), SilentReporter())
    code, run = str(found.controls["smaller"]["arch"]), place / "smaller"
    assert is_member(code) and code == f"{found.space}/{found.arch}" and found.delivered is None
    assert found.validation_accuracy == found.controls["smaller"]["validation_accuracy"]
    assert verify_bundle(run) == []
    assert any("control smaller" in note for note in json.loads((run / "report.json").read_text())["notes"])
    assert export(run, SilentReporter(), out=tmp_path / "again.onnx").read_bytes() == (run / "model.onnx").read_bytes()
    assert (
        specialize(
            settings(run, {"budget_ms": 0.15, "output": str(place / "behind"), "controls": "none"}),
            run,
            SilentReporter(),
        ).space
        == NETWORK
    )
