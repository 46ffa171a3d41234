from unicodedata import normalize

import pytest

from edgenas.data.storage import class_folders
from edgenas.data.storage.class_folders import are_mirrored, class_names, list_pictures
from edgenas.errors import DataError
from tests.data.writers import write_folder


@pytest.mark.parametrize(
    "classes, mirrored",
    [
        (("left", "right"), True),
        (("Turn-Left", "turn_right", "stop"), True),
        (("turn_left", "turn_right", "stop"), True),
        (("hand Left", "hand right"), True),
        (("left", "stop"), False),
        (("leftovers", "rightovers"), False),
        (("bright", "left"), False),
        (("left 1", "right 2"), False),
        (("left of right", "right of left"), True),
    ],
)
def test_classes_named_left_and_right(classes, mirrored):
    assert are_mirrored(classes) is mirrored


def test_every_format_counts_and_nothing_else_is_dropped_without_a_word(tmp_path):
    write_folder(tmp_path, each=1)
    for name in ("a.JPEG", "b.webp", "c.tif", "d.gif", "e.avif", "f.jfif", "g.bmp"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    others = (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", "more.TXT", "film.mp4", "README")
    for name in others:
        (tmp_path / "dog" / name).write_bytes(b"x")
    found = list_pictures(tmp_path)
    assert len(found.entries) == 9
    reasons = {file.name: reason for file, reason in found.left_out}
    assert sorted(reasons) == sorted(others)
    assert reasons["more.TXT"] == "no picture by its name (.txt)" and reasons["Thumbs.db"] == "left by another program"


def test_heic_counts_where_its_extra_is_installed(tmp_path, monkeypatch):
    write_folder(tmp_path, each=1)
    (tmp_path / "cat" / "a.heic").write_bytes(b"x")
    monkeypatch.setattr(class_folders, "reads_heic", lambda: True)
    assert len(list_pictures(tmp_path).entries) == 3
    monkeypatch.setattr(class_folders, "reads_heic", lambda: False)
    found = list_pictures(tmp_path)
    assert len(found.entries) == 2 and found.left_out[0][0].name == "a.heic"
    assert found.notices == ["1 HEIC pictures are left out; `pip install 'edgenas[heic]'` reads them"]


@pytest.mark.parametrize(
    "classes, message", [(("eel",), "no images found.*heic"), (("cat", "eel"), "class 'eel' has no")]
)
def test_a_class_of_heic_alone_names_the_extra(tmp_path, monkeypatch, classes, message):
    write_folder(tmp_path, classes[:-1], each=1)
    (tmp_path / "eel").mkdir(parents=True)
    (tmp_path / "eel" / "a.heif").write_bytes(b"x")
    monkeypatch.setattr(class_folders, "reads_heic", lambda: False)
    with pytest.raises(DataError, match=message) as caught:
        list_pictures(tmp_path)
    assert "edgenas[heic]" in str(caught.value)


@pytest.mark.parametrize(
    "names", [("Train", "Val", "Test"), ("training", "dev", "testing"), ("TRAINING", "Valid", "TESTING")]
)
def test_splits_are_known_by_any_of_their_names(tmp_path, names):
    for name in names:
        write_folder(tmp_path / name, each=2)
    found = list_pictures(tmp_path)
    assert found.splits == ("train", "validation", "test") and found.classes == ("cat", "dog")
    assert len(found.entries) == 12 and not found.left_out and not found.notices


def test_pictures_without_labels_are_no_test_split(tmp_path):
    write_folder(tmp_path / "train", each=4)
    write_folder(tmp_path / "test", ("unknown",), each=3)
    found = list_pictures(tmp_path)
    assert found.splits == ("train",) and found.classes == class_names(tmp_path) == ("cat", "dog")
    assert [reason for _, reason in found.left_out] == ["without a label"] * 3
    assert "3 files have no labels" in found.notices[0]


def test_a_test_split_whose_names_differ_in_case_alone_is_not_taken_for_one_without_labels(tmp_path):
    write_folder(tmp_path / "train", each=4)
    write_folder(tmp_path / "test", ("Cat", "Dog"), each=3)
    assert list_pictures(tmp_path).classes == ("Cat", "Dog", "cat", "dog")


def test_leavings_of_other_programs_are_no_pictures(tmp_path):
    write_folder(tmp_path, each=2)
    for place in ("cat/.ipynb_checkpoints", "cat/@eaDir/00.png", "__MACOSX/cat", "dog/.thumbnails", "$RECYCLE.BIN"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "thumb.png").write_bytes(b"x")
    found = list_pictures(tmp_path)
    assert found.classes == ("cat", "dog") and len(found.entries) == 4
    assert [reason for _, reason in found.left_out] == ["left by another program"] * 5


@pytest.mark.parametrize("place, named", [("photos", "set/photos"), ("train/photos", "train/photos")])
def test_folders_of_pictures_inside_of_a_class_are_refused(tmp_path, place, named):
    root = tmp_path / "set"
    write_folder(root / place, each=2)
    with pytest.raises(DataError, match=r"hold folders of pictures \(.*photos/cat") as caught:
        list_pictures(root)
    assert f"give {tmp_path / 'set' / place}" in str(caught.value) and named in str(caught.value)


def test_splits_without_training_pictures_are_refused(tmp_path):
    for name in ("val", "test"):
        write_folder(tmp_path / name, each=2)
    with pytest.raises(DataError, match="needs a folder named train"):
        list_pictures(tmp_path)


def test_splits_without_classes_are_refused(tmp_path):
    write_folder(tmp_path, ("train", "Test"), each=2)
    with pytest.raises(DataError, match="hold no folder per class"):
        list_pictures(tmp_path)


def test_links_to_folders_are_followed_and_loops_are_not(tmp_path):
    write_folder(tmp_path / "elsewhere", ("cat", "dog", "more"), each=2)
    root = tmp_path / "set"
    root.mkdir()
    for name in ("cat", "dog"):
        (root / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "elsewhere" / "more" / "back").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "elsewhere" / "dog" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    found = list_pictures(root)
    assert len(found.entries) == 6
    assert sorted(reason for _, reason in found.left_out) == ["a broken link", "a link to a folder that it lies in"]


@pytest.mark.parametrize("place", ["all", "cat/all"])
@pytest.mark.parametrize("target", [".", "..", "set"])
def test_links_to_the_folder_of_all_classes_are_no_classes(tmp_path, place, target):
    root = tmp_path / "set"
    write_folder(root, each=2)
    (root / place).symlink_to({".": root, "..": tmp_path, "set": root / "cat" / ".."}[target])
    found = list_pictures(root)
    assert found.classes == class_names(root) == ("cat", "dog") and len(found.entries) == 4
    assert found.left_out == [(root / place, "a link to a folder that it lies in")]


def test_names_are_compared_as_they_print(tmp_path):
    for split, form in (("train", "NFC"), ("val", "NFD")):
        write_folder(tmp_path / split, tuple(normalize(form, name) for name in ("caf\u00e9", "th\u00e9")), each=2)
    found = list_pictures(tmp_path)
    assert found.classes == ("caf\u00e9", "th\u00e9") and len(found.entries) == 8


def test_what_lies_beside_the_classes_is_named(tmp_path):
    write_folder(tmp_path / "train", each=2)
    write_folder(tmp_path / "spare", each=1)
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "train" / "lost.png").write_bytes(b"x")
    found = list_pictures(tmp_path)
    assert found.notices == ["folder spare is none of train, validation and test, and is left out"]
    assert sorted(file.name for file, _ in found.left_out) == ["00.png", "00.png", "lost.png", "readme.txt"]
