"""A search among the cuts of a trained network, for a device elsewhere, so that nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.errors import Interrupted
from edgenas.nn.network import Network
from edgenas.system import checkpoint
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.given import Given
from edgenas.workflows.search import search
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.source_run import settings
from edgenas.workflows.specialize import specialize
from tests.pretrained._networks import lite, stirred

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
