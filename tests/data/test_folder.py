import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from edgenas.data import folder
from edgenas.data.found import LeftOut
from edgenas.data.report import DataReport, report_of
from edgenas.data.storage.options import PhotoOptions
from edgenas.errors import DataError, UsageError
from edgenas.system.records import from_json, to_json
from tests.data.writers import encoded, noise, write_folder


def build(root, **changes):
    settings = {
        "seed": 0,
        "image_size": 16,
        "validation_share": 0.2,
        "download": False,
        "strict": False,
        "device": "cpu",
    }
    return folder.build(root=root, **{**settings, **changes})


def sizes(data):
    return len(data.train), len(data.validation), len(data.held_out)


def test_pooled_layout(tmp_path):
    data = build(write_folder(tmp_path / "pets"))
    assert sizes(data) == (18, 6, 6)
    assert data.name == "pets" and data.classes == ("cat", "dog") and data.shape == (3, 16, 16)
    assert build(tmp_path / "pets", image_size=None).shape == (3, 96, 96)


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_explicit_splits_are_kept(tmp_path, name):
    write_folder(tmp_path / "train", each=10)
    write_folder(tmp_path / name, each=3, seed=100)
    assert sizes(build(tmp_path)) == (16, 6, 4)
    write_folder(tmp_path / "test", each=2, seed=200)
    assert sizes(build(tmp_path)) == (20, 6, 4)


def test_a_class_may_be_called_train(tmp_path):
    assert build(write_folder(tmp_path, ("bus", "train"))).classes == ("bus", "train")


def test_other_files_are_left_out_with_a_word(tmp_path):
    write_folder(tmp_path)
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("x")
    (tmp_path / "cat" / ".hidden.jpg").write_text("x")
    (tmp_path / "cat" / "One More.JPG").write_bytes(encoded(noise(9, 9, 3, seed=9), "JPEG"))
    data = build(tmp_path)
    assert sum(sizes(data)) == 31
    assert {one.name: one.reason for one in data.found.left_out} == {
        "cat/notes.txt": "no picture by its name (.txt)",
        "cat/.hidden.jpg": "left by another program",
    }


def spoil(root, *, of: int = 100):
    """A folder of `of` good images, one of which the caller replaces."""
    return write_folder(root, each=of // 2) / "cat" / "00.png"


@pytest.mark.parametrize("content", [b"", b"text named .png", encoded(noise(40, 40, 3))[:500]])
def test_few_broken_files_are_skipped_and_named(tmp_path, content):
    spoil(tmp_path).write_bytes(content)
    data = build(tmp_path)
    assert [one.name for one in data.found.left_out] == ["cat/00.png"]
    assert sum(sizes(data)) == 99
    with pytest.raises(DataError, match="1 of 100 images unusable, strict.*cat/00.png"):
        build(tmp_path, strict=True)


def test_copies_within_one_pool_are_left_out(tmp_path):
    shutil.copy(spoil(tmp_path), tmp_path / "cat" / "copy.png")
    data = build(tmp_path)
    assert data.found.left_out == (LeftOut("cat/copy.png", "copy of cat/00.png"),) and sum(sizes(data)) == 100
    report = report_of(data)
    assert from_json(DataReport, json.loads(json.dumps(to_json(report)))) == report, "as a run's data.json holds it"
    assert sum(sizes(build(tmp_path, strict=True))) == 100, "a copy is no broken image"


def test_many_copies_are_left_out_and_conflicts_are_all_listed(tmp_path):
    write_folder(tmp_path, each=20)
    for i in range(8):
        shutil.copy(tmp_path / "cat" / f"{i:02}.{('png', 'jpg')[i % 2]}", tmp_path / "cat" / f"again {i}.jpg")
    assert sum(sizes(build(tmp_path))) == 40
    for i in range(8):
        shutil.copy(tmp_path / "cat" / f"{i + 8:02}.{('png', 'jpg')[i % 2]}", tmp_path / "dog" / f"same {i}.jpg")
    with pytest.raises(DataError, match="and 3 more, which `edgenas inspect` lists") as caught:
        build(tmp_path)
    assert len(caught.value.details) == 8 and all("same" in line for line in caught.value.details)


def test_what_was_found_is_told(tmp_path):
    write_folder(tmp_path)
    found = build(tmp_path).found
    assert found.drawn == ("validation", "test") and found.left_out == ()
    assert found.sizes == ((20, 30), (27, 30), (34, 30)) and 0 < found.hidden < 0.34
    assert found.white is None and found.grey_levels is None
    for i in range(2):
        deep = Image.fromarray((np.arange(900).reshape(30, 30) * (i + 1)).astype(np.uint16))
        deep.save(tmp_path / "cat" / f"deep {i}.png")
    found = build(tmp_path).found
    assert found.white == 2047 and found.grey_levels == 899 * 255 // 2047 + 1


def test_a_test_split_without_pictures_is_refused(tmp_path):
    write_folder(tmp_path / "train")
    for name in ("cat", "dog"):
        (tmp_path / "test" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="test split has no images"):
        build(tmp_path)


def one_class(root):
    write_folder(root, ("cat",))


def empty_class(root):
    write_folder(root)
    (root / "eel").mkdir()


def two_images_of_a_class(root):
    write_folder(root)
    write_folder(root, ("eel",), each=2, seed=9000)


def class_only_in_validation(root):
    write_folder(root / "train")
    write_folder(root / "val", ("cat", "dog", "eel"), seed=100)


def class_without_validation(root):
    write_folder(root / "train")
    write_folder(root / "val", ("cat",), seed=100)


def shared_by_splits(root):
    write_folder(root / "train")
    write_folder(root / "val", seed=100)
    shutil.copy(root / "train" / "dog" / "03.jpg", root / "val" / "dog" / "other name.jpg")


def shared_by_classes(root):
    write_folder(root)
    shutil.copy(root / "dog" / "03.jpg", root / "cat" / "other name.jpg")


def two_validations(root):
    for seed, name in enumerate(("train", "val", "valid")):
        write_folder(root / name, seed=100 * seed)


def broken(root):
    write_folder(root)
    for i in range(4):
        (root / "cat" / f"broken {i}.jpg").write_bytes(b"")


def nothing(root):
    root.mkdir()


def loose_files(root):
    root.mkdir()
    (root / "cat.png").write_bytes(encoded(noise(9, 9, 3)))


def name_in_another_encoding(root):
    write_folder(root, ("cat", os.fsdecode("caf\u00e9".encode("latin1"))))


@pytest.mark.parametrize(
    "make, reason",
    [
        (name_in_another_encoding, r"class 'caf\\udce9' is not in UTF-8; rename it, or its folder"),
        (one_class, "only one class"),
        (empty_class, "class 'eel' has no images"),
        (two_images_of_a_class, "'eel' has 2 images for 3 splits"),
        (class_only_in_validation, "'eel' is only in validation, not in train"),
        (class_without_validation, "'dog' has no validation images"),
        (shared_by_splits, r"train/dog/03.jpg in train and val/dog/other name.jpg in validation"),
        (shared_by_classes, r"cat/other name.jpg of cat and dog/03.jpg of dog"),
        (two_validations, "both val and valid"),
        (broken, r"4 of 34 images unusable.*broken 0.jpg: .*broken 2.jpg: [^;]*; \.\.\.$"),
        (nothing, "no images found; put pictures"),
        (loose_files, "no images found"),
    ],
)
def test_faults(tmp_path, make, reason):
    make(tmp_path / "set")
    with pytest.raises(DataError, match=reason) as caught:
        build(tmp_path / "set")
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [None, "absent", "file.txt"])
def test_no_folder(tmp_path, name):
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UsageError, match="as --data"):
        build(name and tmp_path / name)


def test_a_file_lost_in_the_middle_is_one_line(tmp_path):
    data = build(write_folder(tmp_path))
    for file in tmp_path.glob("*/*"):
        file.unlink()
    with pytest.raises(DataError, match="readable at the start") as caught:
        list(data.train.batches(4, size=16))
    assert "\n" not in str(caught.value)
    assert len(list(data.train.batches(4, size=16, epoch=0, augment=True))) == 4  # from the cache


def wide(root):
    for label, name in enumerate(("cat", "dog")):
        for i in range(15):
            (root / name).mkdir(parents=True, exist_ok=True)
            (root / name / f"{i}.png").write_bytes(encoded(noise(18, 32, 3, seed=100 * label + i)))


@pytest.mark.parametrize(
    "make, given, fit, hidden",
    [(write_folder, None, "crop", "14%"), (wide, None, "squash", "44%"), (wide, "pad", "pad", "")],
)
def test_the_fit_is_chosen_by_what_a_crop_hides_and_said(tmp_path, make, given, fit, hidden):
    make(tmp_path)
    data = build(tmp_path, photos=PhotoOptions(fit=given))
    assert data.view.fit == fit
    said = [f"--fit {fit} was chosen: the centred square that a crop keeps hides {hidden} of a picture on average"]
    assert list(data.notices) == ([] if given else said)


@pytest.mark.parametrize(
    "classes, given, flip",
    [(("cat", "dog"), None, True), (("left", "right"), None, False), (("left", "right"), True, True)],
)
def test_mirroring_is_off_where_it_would_change_the_class(tmp_path, classes, given, flip):
    data = build(write_folder(tmp_path, classes), photos=PhotoOptions(flip=given))
    assert data.augment.flip is data.train.store.augment.flip is flip
    assert any("--no-flip" in notice for notice in data.notices) is (not flip)


def test_small_classes_are_drawn_more_often_beyond_ten_to_one(tmp_path):
    write_folder(tmp_path / "train", ("cat",), each=44)
    write_folder(tmp_path / "train", ("dog",), each=4, seed=5000)
    write_folder(tmp_path / "validation", each=4, seed=7000)
    write_folder(tmp_path / "test", each=2, seed=9000)
    data = build(tmp_path)
    assert data.train.balance and any("11 times" in notice for notice in data.notices)
    labels = np.concatenate([y for _, y in data.train.batches(8, size=8, epoch=0, augment=True)])
    assert len(labels) == 48 and 8 <= labels.sum() <= 13  # as the root of 11 to 1, where it would be 4
    later = [x for x, _ in data.train.batches(8, size=8, epoch=0, augment=True, start=3)]
    assert len(later) == 3
    (tmp_path / "train" / "cat" / "00.png").unlink()
    (tmp_path / "train" / "cat" / "01.jpg").unlink()
    (tmp_path / "train" / "cat" / "02.png").unlink()
    (tmp_path / "train" / "cat" / "03.jpg").unlink()
    assert not build(tmp_path).train.balance
