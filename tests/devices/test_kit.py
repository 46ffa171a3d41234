"""The kit: equal requests are equal files, each op is probed once, and the code needs little."""

import ast
import subprocess
import sys
import zipfile

import pytest

from edgenas.devices.kit import read_manifest
from edgenas.errors import DataError, UsageError
from tests.devices.conftest import make_kit


def test_the_same_kit_is_the_same_file(tmp_path):
    first, second, other = (
        make_kit(tmp_path / f"{i}.zip", seed=seed, nets=1, tests=0, only={"width": ["4"], "kernel": ["3"]})
        for i, seed in enumerate((0, 0, 1))
    )
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    assert first["kit"] == second["kit"] == read_manifest(tmp_path / "0.zip")["kit"] != other["kit"]


def test_each_op_is_probed_once_in_each_precision_and_the_reference_comes_first(kit_folder):
    probes = read_manifest(kit_folder)["probes"]
    assert probes[0]["kind"] == "reference"
    for precision in ("fp32", "int8"):
        kinds = [probe["kind"] for probe in probes if probe["precision"] == precision]
        keys = [probe["id"] for probe in probes if probe["kind"] == "op" and probe["precision"] == precision]
        assert len(keys) == len(set(keys)) > 5
        assert (kinds.count("empty"), kinds.count("net"), kinds.count("test")) == (1, 5, 3)


def test_an_option_that_is_none_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"width has no option '5'; it has 4, 8"):
        make_kit(tmp_path / "kit.zip", only={"width": ["5"]})


def test_the_code_needs_python_39_numpy_and_onnxruntime_alone(kit_folder):
    for file in [*(kit_folder / "code").rglob("*.py"), kit_folder / "run.py"]:
        tree = ast.parse(file.read_text(), feature_version=(3, 9))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        foreign = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
        assert foreign <= {"edgenas", "numpy", "onnxruntime"}, file
        for name in imported:
            if name.startswith("edgenas"):
                path = kit_folder / "code" / name.replace(".", "/")
                assert path.is_dir() or path.with_suffix(".py").exists(), f"{file} imports {name}"
    checked = subprocess.run(
        [sys.executable, "-c", "import vermin; vermin.main()", "-t=3.9-", "--violations", "--no-tips", str(kit_folder)],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_what_is_no_kit_is_named(tmp_path):
    (tmp_path / "kit.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="no device kit, or a damaged one .*make one with `edgenas kit`"):
        read_manifest(tmp_path / "kit.zip")
    for path in (tmp_path, tmp_path / "absent.zip"):
        with pytest.raises(UsageError, match="no device kit .*make one with `edgenas kit`"):
            read_manifest(path)


def test_a_manifest_that_unpacks_to_more_than_any_has_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("edgenas.devices.kit.LONGEST_LINE", 1000)
    with zipfile.ZipFile(tmp_path / "kit.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 1_000_000 + b"{}")
    with pytest.raises(DataError, match="its manifest.json has 1,000,002 bytes, which no kit's has"):
        read_manifest(tmp_path / "kit.zip")
