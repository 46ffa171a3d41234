"""What ssh runs on the device: unpacking, ending a runner that was left, and the oldest Python that can read it."""

import io
import signal
import stat
import subprocess
import sys
import zipfile

from edgenas.devices import ssh_remote


def remote(*words):
    return [sys.executable, ssh_remote.__file__, *map(str, words)]


def test_a_kit_is_unpacked_once_and_a_torn_one_never(tmp_path):
    def unpack(digest, content):
        return subprocess.run(remote("unpack", tmp_path / "kit", digest, 1), input=content, capture_output=True)

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as kit:
        kit.writestr("probes/0.onnx", "model")
    file = tmp_path / "kit/probes/0.onnx"
    assert unpack("a", archive.getvalue()[:-9]).returncode != 0 and not file.exists()
    assert unpack("a", archive.getvalue()).returncode == 0 and file.read_text() == "model"
    assert unpack("a", b"no zip").returncode == 0 and file.read_text() == "model"
    assert unpack("b", b"no zip").returncode != 0


def test_a_runner_that_a_broken_connection_left_is_ended(tmp_path):
    (tmp_path / "run.py").write_text("import sys, time\nprint('on', flush=True)\ntime.sleep(float(sys.argv[1]))")
    with subprocess.Popen(remote("measure", tmp_path, 60), stdout=subprocess.PIPE) as left:
        assert left.stdout.readline() == b"on\n"
        subprocess.run(remote("measure", tmp_path, 0), check=True, stdout=subprocess.DEVNULL, timeout=20)
        assert left.wait(20) == -signal.SIGTERM


def test_it_can_be_read_by_a_python_that_is_too_old():
    checked = subprocess.run(
        [
            sys.executable,
            "-c",
            "import vermin; vermin.main()",
            "-t=3.6-",
            "--violations",
            "--no-tips",
            ssh_remote.__file__,
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_no_name_in_an_archive_leads_out_of_its_folder(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as kit:
        kit.writestr("probes/0.onnx", "model")
        for name in ("../up.txt", "probes/../../../far.txt", f"{tmp_path}/absolute.txt"):
            kit.writestr(name, "out")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        kit.writestr(link, str(tmp_path))
    subprocess.run(remote("unpack", tmp_path / "home/kit", "a", 1), input=archive.getvalue(), check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["kit"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
