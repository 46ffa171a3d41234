import sys
import types

import pytest

from edgenas.data.found import LeftOut
from edgenas.data.storage.files import check_skipped, fetch, folders, torchvision_module
from edgenas.errors import DataError, EnvironmentFault, UsageError


def test_a_given_root_is_the_only_place_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGENAS_DATA", str(tmp_path / "usual"))
    assert folders(tmp_path) == [tmp_path]
    assert folders(None, tmp_path) == [tmp_path / "usual", tmp_path]
    monkeypatch.delenv("EDGENAS_DATA")
    assert folders(None) == []


@pytest.mark.parametrize(
    "fault", [RuntimeError("operator torchvision::nms does not exist"), ImportError("undefined symbol"), OSError("lib")]
)
def test_a_mismatched_pair_is_named(monkeypatch, fault):
    def fail(name):
        raise fault

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(EnvironmentFault, match=rf"torch \d.* and torchvision \d.*{fault}") as caught:
        torchvision_module("datasets")
    assert caught.value.exit_code == 4


def test_downloading_needs_a_root():
    with pytest.raises(UsageError, match="data-root"):
        fetch("CIFAR10", None)


def test_torchvision_downloads_to_the_root(tmp_path, monkeypatch):
    calls = []
    module = types.SimpleNamespace(CIFAR10=lambda root, download: calls.append((root, download)))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    assert fetch("CIFAR10", tmp_path) == tmp_path
    assert calls == [(tmp_path, True)]


def test_a_failed_download_is_the_environments_fault(tmp_path, monkeypatch):
    def fail(root, download):
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "torchvision.datasets", types.SimpleNamespace(CIFAR10=fail))
    with pytest.raises(EnvironmentFault, match="no route to host"):
        fetch("CIFAR10", tmp_path)


@pytest.mark.parametrize(
    "bad, total, strict, borne",
    [(0, 10, True, True), (1, 100, False, True), (2, 100, False, False), (1, 100, True, False), (1, 99, False, False)],
)
def test_one_per_cent_is_borne_unless_strict(bad, total, strict, borne):
    skipped = [LeftOut(f"{i}.jpg", "empty") for i in range(bad)]
    if borne:
        check_skipped(skipped, total, strict=strict, where="here")
    else:
        with pytest.raises(DataError, match=f"here: {bad} of {total} images unusable.*0.jpg: empty"):
            check_skipped(skipped, total, strict=strict, where="here")


def test_a_long_list_is_cut():
    with pytest.raises(DataError, match=r"a: empty; b: empty; c: empty; \.\.\.$"):
        check_skipped([LeftOut(name, "empty") for name in "abcde"], 10, strict=False, where="here")
