"""One architecture, trained as a finalist is."""

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
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
    with pytest.raises(UsageError, match="has 4 choices, got 6"):
        train(config, "012345", SilentReporter(), given=Given(data=images()))
    assert not list((tmp_path / "run").iterdir())
    with pytest.raises(UsageError, match="holds no run"):
        export(tmp_path / "run", SilentReporter(), out=tmp_path / "a.onnx")
