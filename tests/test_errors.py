"""The tree at the top of errors.py is the tree of its classes."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edgenas
from edgenas import errors
from edgenas.devices.ingest import read_results
from edgenas.devices.kit import read_manifest
from edgenas.evaluators.tabular import read_scores
from edgenas.latency.table import read_table
from edgenas.pretrained import own
from edgenas.runtimes.model_file import read_model
from edgenas.system import plugins

TREE = [
    (match["name"], len(match["indent"]), re.findall(r"exit (\d+)", match["codes"]))
    for match in re.finditer(r"^    (?P<indent>[|+ -]*)(?P<name>[A-Z]\w+) +(?P<codes>.*)$", errors.__doc__ or "", re.M)
]
CLASSES = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls)}


def test_the_tree_shows_every_error():
    assert {name for name, *_ in TREE} == set(CLASSES)


def test_every_error_can_be_caught_by_its_name():
    assert set(CLASSES) <= set(edgenas.__all__)
    assert all(getattr(edgenas, name) is cls for name, cls in CLASSES.items())


@pytest.mark.parametrize("name, indent, codes", TREE, ids=[name for name, *_ in TREE])
def test_each_stands_below_its_base_with_its_exit_code(name, indent, codes):
    cls = CLASSES[name]
    above = [other for other, depth, _ in TREE[: [n for n, *_ in TREE].index(name)] if depth < indent]
    assert cls.__base__ is (CLASSES[above[-1]] if above else Exception)
    if codes:  # of `Ended`, the code is that of the process that ended first
        assert str(cls.exit_code) in codes


def test_a_message_is_all_that_is_shown():
    assert str(errors.MissingOps("pi5: 3 ops unprofiled")) == "pi5: 3 ops unprofiled"


def missing(tmp_path: Path, name: str) -> Path:
    return tmp_path / name


def damaged(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).write_bytes(b"\xff\xfe no such thing")
    return tmp_path / name


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "table": ("here.csv", read_table),
    "results": ("results.jsonl", read_results),
    "kit": ("kit.zip", read_manifest),
    "scores": ("scores.npz", read_scores),
    "images": ("images.npz", lambda path: plugins.load("data", "npz").build(root=path, **HOW)),
    "weights": ("mine.pt", lambda path: own.build("tests.pretrained._networks:lite", weights=path).check()),
    "model": ("model.onnx", read_model),
}
HOW = {"seed": 0, "image_size": None, "validation_share": 0.1, "download": False, "strict": False, "device": "cpu"}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("make, code", [(missing, 2), (damaged, 3)])
def test_alike_faults_of_files_have_alike_exit_codes(tmp_path, kind, make, code):
    name, read = READERS[kind]
    with pytest.raises(errors.EdgeNASError, match=re.escape(name)) as caught:
        read(make(tmp_path, name))
    assert caught.value.exit_code == code and "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.toml", "result.json", "format.json", "finalist-0.pt"])
def test_damaged_files_of_a_run_are_told_from_no_run(searched, tmp_path, file):
    for folder, code in ((tmp_path / "none", 2), (Path(shutil.copytree(searched, tmp_path / "run")), 3)):
        if folder.exists():
            damaged(folder, file)
            (folder / f"{file}.previous").unlink(missing_ok=True)
        with pytest.raises(errors.EdgeNASError) as caught:
            edgenas.export(folder, tmp_path / "out.onnx")
        assert caught.value.exit_code == code, str(caught.value)
