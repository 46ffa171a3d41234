import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.errors import DataError, UnknownName, UsageError
from edgenas.system.data_source import Source, resolve


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with one of each: folders, files, and a folder of a plugin's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGENAS_DATA", raising=False)
    for folder in ("photos", "digits", "usual"):
        (tmp_path / folder).mkdir()
    for file in ("pets.npz", "flowers.py", "cat.png", "usual/birds.npz"):
        (tmp_path / file).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "data, root, found",
    [
        ("digits", None, Source("digits", None)),  # a name wins over the folder beside it
        ("./digits", None, Source("folder", Path("digits"))),
        (Path("digits"), None, Source("folder", Path("digits"))),
        ("photos", None, Source("folder", Path("photos"))),
        ("photos/", None, Source("folder", Path("photos"))),
        ("pets.npz", None, Source("npz", Path("pets.npz"))),
        ("folder", "photos", Source("folder", Path("photos"))),
        ("npz", "pets.npz", Source("npz", Path("pets.npz"))),
        ("cifar10", Path("usual"), Source("cifar10", Path("usual"))),
        ("flowers", None, Source("flowers", None)),
        ("./flowers.py", "photos", Source("./flowers.py", Path("photos"))),
        (Path("flowers.py"), None, Source("flowers.py", None)),
        ("mypackage.birds", None, Source("mypackage.birds", None)),
    ],
)
def test_what_is_given_is_a_plugin_and_a_place(here, data, root, found):
    assert resolve(data, root) == found


def test_home_and_the_usual_folder_are_looked_into(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert resolve("~/photos") == Source("folder", here / "photos")
    with pytest.raises(UnknownName):
        resolve("birds.npz")
    monkeypatch.setenv("EDGENAS_DATA", str(here / "usual"))
    assert resolve("birds.npz") == Source("npz", Path("birds.npz"))


@pytest.mark.parametrize(
    "data, error, message",
    [
        ("digit", UnknownName, "no data set or folder 'digit'; did you mean digits"),
        ("photo", UnknownName, "did you mean photos"),
        ("./photo/", UnknownName, "'./photo/'; did you mean photos"),
        ("usual/bird.npz", UnknownName, "no file 'usual/bird.npz'; did you mean usual/birds.npz"),
        ("flower.py", UnknownName, "did you mean flowers.py"),
        (Path("digit"), UnknownName, "no folder 'digit'"),
        ("/no/where", UnknownName, "there are cifar10, .*; or give a folder's path"),
        ("zzzz", UnknownName, "there are cifar10"),
        ("cat.png", DataError, "cat.png: edgenas reads no such file; give a folder"),
        (3, UsageError, "int is no name and no path"),
        (([[0]], [0]), UsageError, "tuple is no name"),
    ],
)
def test_anything_else_is_refused_with_the_nearest_names(here, data, error, message):
    with pytest.raises(error, match=message) as caught:
        resolve(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["photos", "pets.npz"])
def test_a_path_and_a_root_contradict_each_other(here, data):
    with pytest.raises(UsageError, match="leave out --data-root elsewhere"):
        resolve(data, "elsewhere")


def test_it_needs_neither_torch_nor_numpy():
    loaded = "print({'torch', 'numpy'} & set(sys.modules))"
    script = f"import sys, edgenas.system.data_source as r; r.resolve('digits'); {loaded}"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"
