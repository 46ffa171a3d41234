"""One architecture, trained as a finalist is."""

from dataclasses import replace

import numpy as np
import pytest

from edgenas.errors import Interrupted, UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config, resolve
from edgenas.workflows.export import export
from edgenas.workflows.given import Given
from edgenas.workflows.train import train
from tests.workflows._tasks import images

SETTINGS = {"space": "tests._toys", "final_epochs": 1, "data": "noise"}


def test_it_is_trained_and_can_be_exported(tmp_path):
    config, given = make_config({**SETTINGS, "output": tmp_path / "run"}), Given(data=images())
    trained = train(config, "0101", SilentReporter(), given=given)
    assert trained.arch == "0101" and trained.validation_images == len(images().validation)
    assert list(trained.validation_recall) == list(images().classes)
    assert trained.validation_balanced_accuracy == pytest.approx(np.mean(list(trained.validation_recall.values())))
    assert trained.run == str(tmp_path / "run") and (tmp_path / "run" / "finalist-0.pt").exists()


def test_an_architecture_of_another_space_leaves_the_folder_free(tmp_path):
    config = make_config({**SETTINGS, "output": tmp_path / "run"})
    with pytest.raises(UsageError, match="has 4 choices, got 6; `edgenas predict --samples 5` shows some"):
        train(config, "012345", SilentReporter(), given=Given(data=images()))
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="holds no run"):
        export(tmp_path / "run", SilentReporter(), out=tmp_path / "a.onnx")


def test_an_interrupted_training_goes_on_to_the_same_end(tmp_path):
    data = Given(data=images())
    config = make_config({**SETTINGS, "output": tmp_path / "whole"})
    whole = train(config, "0101", SilentReporter(), given=data)
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        train(replace(config, output=tmp_path / "run"), "0101", SilentReporter(), lambda: next(asked, True), data)
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        train(replace(config, output=tmp_path / "run"), "0101", SilentReporter(), given=data)
    again = replace(config, output=tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match="0000: .* trains 0101; leave the code out, or use a new --output"):
        train(again, "0000", SilentReporter(), given=data)
    resumed = train(again, None, SilentReporter(), given=data)
    assert replace(resumed, run=whole.run) == whole


def test_a_new_training_needs_an_architecture(tmp_path):
    with pytest.raises(UsageError, match="say which architecture to train"):
        train(make_config({**SETTINGS, "output": tmp_path / "run"}), None, SilentReporter(), given=Given(data=images()))
    with pytest.raises(UsageError, match="holds no run"):
        resolve({"output": tmp_path / "run", "resume": True})


def test_a_network_without_its_weights_leaves_no_folder(tmp_path):
    config = make_config({"pretrained": "tests.pretrained._networks:resnet", "output": tmp_path / "run"})
    with pytest.raises(UsageError, match="give its weights with --weights FILE"):
        train(config, "0", SilentReporter())
    assert not list(tmp_path.iterdir())
