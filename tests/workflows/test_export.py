"""A trained network as a file."""

import shutil

import pytest

from edgenas.errors import CheckpointError, UsageError
from edgenas.system import checkpoint
from edgenas.system.progress import SilentReporter
from edgenas.workflows.export import export


def test_the_delivered_network_is_exported_as_it_was(searched, tmp_path):
    out = export(searched, SilentReporter(), out=tmp_path / "again.onnx")
    assert out.read_bytes() == (searched / "model.onnx").read_bytes()


def test_what_is_not_trained_there_is_named(searched, tmp_path):
    with pytest.raises(UsageError, match="0000 is not trained there; trained are "):
        export(searched, SilentReporter(), arch="0000", out=tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="holds no run"):
        export(tmp_path, SilentReporter(), out=tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_the_file_is_written_where_there_was_no_folder(searched, tmp_path):
    assert export(searched, SilentReporter(), out=tmp_path / "new" / "folder" / "a.onnx").is_file()
    with pytest.raises(UsageError, match="is a folder; give the file to write"):
        export(searched, SilentReporter(), out=tmp_path)


def test_weights_of_another_version_are_a_named_error(searched, tmp_path):
    folder = shutil.copytree(searched, tmp_path / "run")
    for path in folder.glob("finalist-*.pt"):
        checkpoint.save(path, {**checkpoint.load(path), "module": {}})
    with pytest.raises(CheckpointError, match="weights of another version"):
        export(folder, SilentReporter(), out=tmp_path / "a.onnx")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda payload: {"step": 1}, r"finalist-0.pt: trained for 1 of \d+ steps; go on with --resume"),
        (lambda payload: {"identity": payload["identity"] | {"arch": "1111"}}, "written with arch = '1111'"),
    ],
)
def test_what_is_not_the_end_of_its_training_is_refused(searched, tmp_path, change, message):
    folder = shutil.copytree(searched, tmp_path / "run")
    payload = checkpoint.load(folder / "finalist-0.pt")
    checkpoint.save(folder / "finalist-0.pt", {**payload, **change(payload)})
    with pytest.raises(CheckpointError, match=message):
        export(folder, SilentReporter(), out=tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
