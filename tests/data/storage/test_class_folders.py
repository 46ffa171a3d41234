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
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", "more.TXT", "film.mp4", "README"):
        (tmp_path / "dog" / name).write_bytes(b"x")
    found, notices = list_pictures(tmp_path, class_names(tmp_path))
    assert len(found) == 9
    assert notices == ("files whose names are of no picture are left out: 1 .mp4, 2 .txt, 1 no suffix",)


def test_heic_counts_where_its_extra_is_installed(tmp_path, monkeypatch):
    write_folder(tmp_path, each=1)
    (tmp_path / "cat" / "a.heic").write_bytes(b"x")
    monkeypatch.setattr(class_folders, "reads_heic", lambda: True)
    assert len(list_pictures(tmp_path, ("cat", "dog"))[0]) == 3
    monkeypatch.setattr(class_folders, "reads_heic", lambda: False)
    found, notices = list_pictures(tmp_path, ("cat", "dog"))
    assert len(found) == 2 and notices == ("1 HEIC pictures are left out; `pip install 'edgenas[heic]'` reads them",)


@pytest.mark.parametrize(
    "classes, message", [(("eel",), "no images found.*heic"), (("cat", "eel"), "class 'eel' has no")]
)
def test_a_class_of_heic_alone_names_the_extra(tmp_path, monkeypatch, classes, message):
    write_folder(tmp_path, classes[:-1], each=1)
    (tmp_path / "eel").mkdir(parents=True)
    (tmp_path / "eel" / "a.heif").write_bytes(b"x")
    monkeypatch.setattr(class_folders, "reads_heic", lambda: False)
    with pytest.raises(DataError, match=message) as caught:
        list_pictures(tmp_path, classes)
    assert "edgenas[heic]" in str(caught.value)
