"""The file server of pages: its headers, its types, and nothing outside its folders."""

import ast
import http.client
import threading
from pathlib import Path

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


def test_it_ships_in_kits_so_it_keeps_to_python_39_and_the_standard_library():
    tree = ast.parse(Path(serve.__file__).read_text(), feature_version=(3, 9))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.startswith("edgenas")]
