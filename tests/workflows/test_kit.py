"""Kits and their manifests."""

import json
import zipfile

import pytest

from edgenas.errors import UsageError
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.kit import finalists_kit, kit
from edgenas.workflows.kit_content import KitOptions
from tests._toys import Shared


def test_a_space_given_as_a_class_is_named_in_the_manifest(tmp_path):
    options = KitOptions((3, 8, 8), 4, {"width": ["4"]}, nets=8, tests=0, precisions=("fp32",), space=Shared)
    manifest = kit(make_config({}), SilentReporter(), options, out=tmp_path / "kit.zip", page=False)
    assert manifest["space"] == "tests._toys 3x8x8 4" and manifest["only"] == {"width": ["4"]}
    with zipfile.ZipFile(tmp_path / "kit.zip") as archive:
        assert json.loads(archive.read("manifest.json")) == manifest
        assert {"run.py", "code/edgenas/devices/runner.py"} <= set(archive.namelist())


def test_an_option_that_the_space_does_not_have(tmp_path):
    with pytest.raises(UsageError, match="no choice 'depth'"):
        options = KitOptions((3, 8, 8), 4, {"depth": ["4"]}, space=Shared)
        kit(make_config({}), SilentReporter(), options, out=tmp_path / "kit.zip", page=False)


def test_finalists_are_those_of_a_run(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        finalists_kit(tmp_path, SilentReporter(), out=tmp_path / "kit.zip")
