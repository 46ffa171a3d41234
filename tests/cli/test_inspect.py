"""`edgenas inspect` on small folders, each of a kind that people have."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from edgenas.cli import main as cli
from tests.data.writers import noise, write_folder, write_npz


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Decoded pictures are cached beside the runs of the current folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_what_a_search_would_use_is_printed(tmp_path, capsys):
    root = write_folder(tmp_path / "pets", ("cat", "dog"))
    shutil.copy(root / "cat" / "00.png", root / "cat" / "again.png")
    (root / "dog" / "<b>.txt").write_text("x")
    assert cli.main(["inspect", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == "class train validation (drawn) test (drawn)".split()
    assert lines[1].split() == ["cat", "11", "1", "3"] and lines[3].split() == ["all", "22", "2", "6"]
    assert "2 left out:" in lines
    assert [line.split("  ") for line in lines if "copy of" in line and line.startswith("  ")]
    assert cli.main(["inspect", str(root), "--json", "--html", "page.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"]["dog"] == {"train": 11, "validation": 1, "test": 3}
    assert {"name": "cat/again.png", "reason": "copy of cat/00.png"} in found["found"]["left_out"]
    page = (tmp_path / "work" / "page.html").read_text()
    assert "&lt;b&gt;.txt" in page and "<b>.txt" not in page and page.count("data:image/jpeg;base64,") == 1
    assert "http" not in page


def test_a_pipe_named_as_a_picture_is_not_opened(tmp_path, capsys):
    root = write_folder(tmp_path / "pets", ("cat", "dog"))
    os.mkfifo(root / "cat" / "pipe.png")
    assert cli.main(["inspect", str(root), "--html", "page.html"]) == 0
    assert "  cat/pipe.png  no file" in capsys.readouterr().out.splitlines()


def test_all_that_is_wrong_is_listed(tmp_path, capsys):
    root = write_folder(tmp_path / "pets", ("cat", "dog"), each=20)
    for i in range(12):
        shutil.copy(root / "cat" / f"{i:02}.{('png', 'jpg')[i % 2]}", root / "dog" / f"same {i}.jpg")
    assert cli.main(["inspect", str(root), "--html", "page.html"]) == 3
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 12 and printed.err.splitlines()[-1].startswith("edgenas: ")
    assert (tmp_path / "work" / "page.html").read_text().count("of cat and dog/same") == 12


def test_names_of_files_are_no_codes_of_a_terminal(tmp_path, capsys):
    root = write_folder(tmp_path / "pets", ("cat", "dog"))
    (root / "cat" / "\x1b[2J.txt").write_text("x")
    (root / "\x9bgone").symlink_to(root / "cat")
    shutil.copy(root / "cat" / "00.png", root / "dog" / "\x1b[2J.png")
    assert cli.main(["inspect", str(root)]) == 3
    refused = capsys.readouterr()
    (root / "\x9bgone").unlink()
    (root / "dog" / "\x1b[2J.png").unlink()
    for name in ("train", "\x1b[1mspare"):
        (root / name).mkdir()
        for part in ("cat", "dog"):
            shutil.copytree(root / part, root / name / part)
    assert cli.main(["inspect", str(root)]) == 0
    shown = capsys.readouterr()
    for text in (refused.out, refused.err, shown.out, shown.err):
        assert text.replace("\n", "").isprintable() and "x1b[" in text


@pytest.mark.parametrize("source", ["digits", "npz"])
def test_every_source_has_a_report(tmp_path, capsys, source):
    data = "digits" if source == "digits" else str(write_npz(tmp_path, images=noise(60, 12, 12, 3)))
    assert cli.main(["inspect", data, "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("class ")


def test_a_class_named_as_a_tag_is_text_in_the_page(tmp_path, capsys):
    root = write_folder(tmp_path / "<script>alert(1)", ("<script>", "<img src=x>"))
    assert cli.main(["inspect", str(root), "--html", "page.html", "--quiet"]) == 0
    page = (tmp_path / "work" / "page.html").read_text()
    assert "<script" not in page and "<img src=x" not in page and "<td>&lt;script&gt;" in page
    assert "://" not in page and "url(" not in page
