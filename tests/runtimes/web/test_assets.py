"""Where onnxruntime-web's files are looked for, and what is said when they are nowhere. Nothing is fetched."""

import io
import os
import tarfile

import pytest

from edgenas.errors import EnvironmentFault
from edgenas.runtimes.web import assets


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.delenv(assets.FOLDER, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def package(folder, dist="dist"):
    (folder / dist).mkdir(parents=True)
    for file in (assets.SCRIPT, assets.WASM):
        (folder / dist / file).write_text("code")
    (folder / "package.json").write_text('{"version": "1.2.3"}')
    return folder


def fake_npm(folder, monkeypatch, script):
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


@pytest.mark.parametrize("dist, named", [("dist", ""), ("dist", "dist"), ("", "")])
def test_a_named_folder_is_taken_however_it_is_laid_out(tmp_path, monkeypatch, dist, named):
    monkeypatch.setenv(assets.FOLDER, str(package(tmp_path / "p", dist) / named))
    found = assets.assets()
    assert found.version == "1.2.3" and found.script.is_file() and found.wasm.is_file()


@pytest.mark.parametrize("lacking", [f"dist/{assets.SCRIPT}", f"dist/{assets.WASM}", "package.json"])
def test_a_named_folder_that_lacks_a_file_is_an_error(tmp_path, monkeypatch, lacking):
    (package(tmp_path / "p") / lacking).unlink()
    monkeypatch.setenv(assets.FOLDER, str(tmp_path / "p"))
    with pytest.raises(EnvironmentFault, match=rf"no {os.path.basename(lacking)}.*EDGENAS_ORT_WEB"):
        assets.assets()


def test_npm_fetches_it_once_and_says_so(tmp_path, monkeypatch, capsys):
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        for member in (*assets.MEMBERS, "dist/unused.js"):
            content = b'{"version": "1.2.3"}'
            info = tarfile.TarInfo(f"package/{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    fake_npm(tmp_path / "bin", monkeypatch, f"cp '{tmp_path}/p.tgz' . && echo called >> '{tmp_path}/log'")
    first, second = assets.assets(), assets.assets()
    assert first == second and first.version == "1.2.3"
    assert (tmp_path / "log").read_text() == "called\n"
    assert "fetching onnxruntime-web" in capsys.readouterr().err
    assert sorted(path.name for path in first.folder.iterdir()) == sorted((assets.SCRIPT, assets.WASM))
    assert os.listdir(tmp_path / "cache/edgenas/npm") == [f"onnxruntime-web-{assets.VERSION}"]


@pytest.mark.parametrize(
    "script, words",
    [("echo no route to host >&2; exit 1", "no route to host"), ("exit 0", "network"), ("echo x > a.tgz", "unpacked")],
)
def test_npms_failure_names_the_next_step_and_leaves_nothing(tmp_path, monkeypatch, script, words):
    fake_npm(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(EnvironmentFault, match=words):
        assets.assets()
    assert os.listdir(tmp_path / "cache/edgenas/npm") == []


def test_without_npm_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="npm is not on the PATH; install Node.js.*EDGENAS_ORT_WEB"):
        assets.assets()
