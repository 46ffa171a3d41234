from pathlib import Path

from edgenas.data.storage.options import PhotoOptions, user_cache
from edgenas.data.view import FITS
from edgenas.workflows import config


def test_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert user_cache() == tmp_path / "here" / "edgenas"


def test_without_a_home_there_is_a_folder_for_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    assert user_cache() == tmp_path / "edgenas"
    monkeypatch.delenv("XDG_CACHE_HOME")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert user_cache() == tmp_path / "edgenas"


def test_nobody_needs_to_listen():
    options = PhotoOptions()
    assert options.log("x") is options.progress(1, 2) is None


def test_the_flag_lists_every_fit():
    assert config.FITS == FITS
