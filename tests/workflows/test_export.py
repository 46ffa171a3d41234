"""A trained network as a file."""

import shutil

import pytest

from edgenas.errors import CheckpointError, DamagedRun, UsageError
from edgenas.system import checkpoint
from edgenas.system.file_index import write_kept
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


def test_a_network_that_came_from_the_run_whose_weights_it_uses_is_exported(searched, tmp_path):
    folder = shutil.copytree(searched, tmp_path / "run")
    (folder / "source").mkdir()
    for path in folder.glob("finalist-*.pt*"):
        path.rename(folder / "source" / path.name)
    # With epochs of its own the run had trained it.
    with pytest.raises(DamagedRun, match=r"run/finalist-0\.pt is gone"):
        export(folder, SilentReporter(), out=tmp_path / "a.onnx")
    lines = (folder / "config.toml").read_text().splitlines(keepends=True)
    write_kept(folder / "config.toml", "".join(x for x in lines if not x.startswith("final_epochs")).encode())
    out = export(folder, SilentReporter(), out=tmp_path / "a.onnx")
    assert out.read_bytes() == (searched / "model.onnx").read_bytes()
    path = folder / "source" / "finalist-0.pt"
    payload = checkpoint.load(path)
    checkpoint.save(path, {**payload, "identity": {**payload["identity"], "arch": "1111"}})
    checkpoint.previous(path).unlink()
    with pytest.raises(CheckpointError):
        export(folder, SilentReporter(), out=tmp_path / "b.onnx")
