"""Kits and their manifests."""

import json
import zipfile

import numpy as np
import pytest

from edgenas.errors import UsageError
from edgenas.latency.table import write_table
from edgenas.system.progress import SilentReporter
from edgenas.workflows.config import make_config
from edgenas.workflows.kit import finalists_kit, kit, reduced_kit
from edgenas.workflows.kit_content import KitOptions
from tests._toys import Shared, all_archs
from tests.latency.tables import net_rows, table_of


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


@pytest.mark.parametrize("probes", [None, 3])
def test_the_space_is_built_once(tmp_path, monkeypatch, probes):
    built = []

    def make(shape, classes):
        built.append(shape)
        return Shared(shape, classes)

    options = KitOptions((3, 8, 8), 4, {"width": ["4"]}, nets=2, tests=0, precisions=("fp32",), space=make)
    how = {"out": tmp_path / "kit.zip", "page": False}
    if probes is None:
        kit(make_config({}), SilentReporter(), options, **how)
    else:
        sources = [tmp_path / f"{i}.csv" for i in range(2)]
        for path in sources:
            rows = net_rows(Shared(), all_archs(Shared()), np.random.default_rng(0))
            write_table(path, table_of(Shared(), rows))
        known = [str(path) for path in sources]
        reduced_kit(make_config({}), SilentReporter(), options, count=probes, known=known, **how)
    assert built == [(3, 8, 8)]
