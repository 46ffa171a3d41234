"""The file server of pages: its headers, its types, and nothing outside its folders."""

import ast
import hashlib
import http.client
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgenas.runtimes.web import serve


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("served")
    (tmp_path / "own").mkdir()
    (tmp_path / "other/deep").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "own/index.html").write_text("<p>")
    (tmp_path / "own/code.mjs").write_text("1")
    (tmp_path / "other/deep/a b.wasm").write_text("2")
    with serve.make_server({"": tmp_path / "own", "other": tmp_path / "other"}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(path):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
            return response, body

        yield get
        server.shutdown()


@pytest.mark.parametrize(
    "path, kind, body",
    [
        ("/", "text/html", "<p>"),
        ("/code.mjs", "text/javascript", "1"),
        ("/other/deep/a%20b.wasm?x=1", "application/wasm", "2"),
    ],
)
def test_files_come_isolated_and_typed(ask, path, kind, body):
    response, text = ask(path)
    assert (response.status, response.getheader("Content-Type"), text) == (200, kind, body)
    assert response.getheader("Cross-Origin-Opener-Policy") == "same-origin"
    assert response.getheader("Cross-Origin-Embedder-Policy") == "require-corp"
    assert response.getheader("Cache-Control") == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/none", "/../secret.txt", "/%2e%2e/secret.txt", "/other/../../secret.txt", "/other/", "/other/deep/", "/own/"],
)
def test_nothing_else_comes(ask, path):
    response, text = ask(path)
    assert response.status == 404 and "secret" not in text


def test_it_listens_on_this_machine_alone_unless_told():
    with serve.make_server({}) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("encoding, is_drawn", [("utf-8", True), ("cp437", True), ("ascii", False), ("latin-1", False)])
def test_others_need_the_address_that_is_printed(tmp_path, encoding, is_drawn):
    (tmp_path / "index.html").write_text("<p>")
    words = [sys.executable, serve.__file__, "0", "--host", "0.0.0.0"]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    serving = subprocess.Popen(words, stdout=subprocess.PIPE, encoding=encoding, cwd=tmp_path, env=env)
    try:
        address = urlsplit(serving.stdout.readline().split()[1])
        assert not is_drawn or "█" in serving.stdout.readline()
        assert len(address.path) > 20
        for path, status in ((address.path + "serve.py", 200), ("/serve.py", 404), ("/x/serve.py", 404), ("/", 404)):
            connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=5)
            connection.request("GET", path)
            assert connection.getresponse().status == status, path
            connection.close()
    finally:
        serving.kill()
        serving.wait()
        serving.stdout.close()


@pytest.mark.parametrize("given", [["70000"], [], ["0", "--host", "192.0.2.1"], ["0", "--host", "x" * 300]])
def test_a_place_that_cannot_be_listened_on_is_said(given):
    with serve.make_server({}) as server:
        words = [sys.executable, serve.__file__, *(given or [str(server.server_port)])]
        done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 4 and not done.stdout
    assert done.stderr.startswith("serve.py: cannot listen on port") and "`python serve.py 8001`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_qr_code_is_what_readers_read():
    # As OpenCV's reader and ours read it; another content gives other words.
    rows = serve.qr_modules(b"http://192.168.100.123:8000/AbCdEfGhIjKlMnOpQrStUv/")
    found = hashlib.sha256("\n".join("".join(".#"[dark] for dark in row) for row in rows).encode()).hexdigest()
    assert found[:16] == "31035b352d8c0a07"
    assert serve.qr_code("a") != serve.qr_code("b") and len(serve.qr_code("a").splitlines()) == 21
    with pytest.raises(ValueError, match="79 bytes"):
        serve.qr_modules(b"x" * 79)


@pytest.mark.parametrize("length", [1, 30, 78])
def test_words_of_correction_have_the_roots_of_the_code(length):
    data = list(np.random.default_rng(length).integers(0, 256, 80).tolist())
    words, root = [*data, *serve._correction(data)], 1
    for _ in range(serve.CORRECTION):
        value = 0
        for word in words:
            value = serve._product(value, root) ^ word
        assert value == 0
        root = serve._product(root, 2)


def test_it_ships_in_kits_so_it_keeps_to_python_39_and_the_standard_library():
    tree = ast.parse(Path(serve.__file__).read_text(), feature_version=(3, 9))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.startswith("edgenas")]
