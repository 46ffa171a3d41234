"""The kit's page in headless Chromium, on a kit of five models: served, reloaded half-way, and opened as a file."""

import hashlib
import json
import threading
import zipfile

import numpy as np
import pytest

from edgenas.devices import page
from edgenas.errors import EnvironmentFault
from edgenas.exporters.onnx import identity, probe, random_weights, to_bytes, to_onnx
from edgenas.runtimes.reference import reference_model
from edgenas.runtimes.web import chromium
from edgenas.runtimes.web.serve import make_server
from tests._runtimes import usable
from tests._toys import Shared

SLOTS = 24
FINISHED = "document.body.dataset.state"
RESULTS = "fetch(document.getElementById('save').href).then(response => response.text())"


def op(number):
    """A model of one op of a small network."""
    rng = np.random.default_rng(number)
    node = [node for node in Shared().graph((0, 0, 0, 0)) if node.priced][number]
    return to_bytes(to_onnx(probe(node), random_weights(probe(node), rng)))


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """A kit's folder: the reference, an empty model, two ops and one file that is no model."""
    usable("onnxruntime-web-chromium")
    empty = to_bytes(to_onnx(identity((1, 1, 1)), {}))
    models = [
        ("reference", reference_model()),
        ("empty", empty),
        ("op", op(0)),
        ("op", op(1)),
        ("op", b"garbage"),
    ]
    folder = tmp_path_factory.mktemp("kit")
    probes = []
    for number, (kind, model) in enumerate(models):
        file = f"probes/{number:04d}.onnx"
        digest = hashlib.sha256(model).hexdigest()
        probes.append(
            {"file": file, "sha256": digest, "kind": kind, "id": str(number), "precision": "fp32", "macs": 1.0}
        )
        write(folder / file, model)
    write(folder / "manifest.json", json.dumps({"kit": "abc", "probes": probes}, indent=1).encode())
    for name, content in page.files().items():
        write(folder / name, content)
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def browser(kit):
    browser = chromium.Browser()
    yield browser
    browser.stop()


@pytest.fixture
def address(kit):
    with make_server({"": kit}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def start(tab):
    tab.wait_for("!document.getElementById('ready').hidden")
    tab.evaluate("document.getElementById('device').value = 'My <Phone>'; document.getElementById('start').click()")


def check(text, kit):
    """Every op in every slot, each slot with the reference and the empty model; the header holds the manifest."""
    head, *lines = [json.loads(line) for line in text.splitlines()]
    assert head["kit"] == head["header"]["kit"] == "abc"
    assert head["manifest"] == json.loads((kit / "manifest.json").read_text())
    assert '"macs": 1.0' in text.splitlines()[0], "numbers stay as written: the kit's hash is over them"
    facts = head["header"]
    assert (facts["device"], facts["unit"], facts["threads"], facts["provider"]) == ("my-phone", "ms", 1, "wasm")
    assert facts["runtime"] == "onnxruntime-web-chromium" and "Chromium" in facts["engine"]
    errors = [line for line in lines if "error" in line]
    assert [line["probe"] for line in errors] == [4]
    rounds = [line for line in lines if "error" not in line]
    assert all(line["ms"] > 0 and line["runs"] > 0 and line["clean_share"] == 1 for line in rounds)
    slots = [{line["slot"] for line in rounds if line["probe"] == probe} for probe in range(4)]
    passes = len(slots[2]) // SLOTS
    assert 1 <= passes <= 3 and len(slots[2]) == passes * SLOTS, "more of them while they repeat badly"
    assert all(these == slots[2] for these in slots)
    assert len(rounds) == 4 * passes * SLOTS, "no round twice"
    assert [sum(line["session"] == s for line in rounds) for s in range(3 * passes)] == [4 * SLOTS / 3] * 3 * passes


def test_served_and_reloaded_half_way(browser, kit, address):
    tab = browser.open_page(address)
    start(tab)
    tab.wait_for("document.getElementById('bar').value >= 20")
    tab.call("Page.reload")
    tab.wait_for(FINISHED)
    assert tab.evaluate(FINISHED) == "done", tab.evaluate("document.getElementById('say').textContent")
    text = tab.evaluate(RESULTS)
    check(text, kit)
    assert json.loads(text.splitlines()[0])["header"]["cross_origin_isolated"] == "yes"


def test_opened_as_a_file_it_takes_the_zip(browser, kit, tmp_path):
    zipped = tmp_path / "kit.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(kit.rglob("*.*")):
            # The largest file is stored, not deflated: the test is shorter, and covers both.
            archive.write(path, path.relative_to(kit), zipfile.ZIP_STORED if path.suffix == ".wasm" else None)
    alone = tmp_path / "index.html"
    alone.write_bytes((kit / "index.html").read_bytes())
    tab = browser.open_page(alone.as_uri())
    tab.wait_for("document.readyState === 'complete' && !document.getElementById('choose').hidden")
    document = tab.call("DOM.getDocument")["root"]["nodeId"]
    chooser = tab.call("DOM.querySelector", {"nodeId": document, "selector": "#zip"})["nodeId"]
    tab.call("DOM.setFileInputFiles", {"nodeId": chooser, "files": [str(zipped)]})
    start(tab)
    tab.wait_for(FINISHED)
    assert tab.evaluate(FINISHED) == "done", tab.evaluate("document.getElementById('say').textContent")
    text = tab.evaluate(RESULTS)
    check(text, kit)
    assert json.loads(text.splitlines()[0])["header"]["cross_origin_isolated"] == "no"


def test_a_damaged_probe_stops_with_its_name(browser, kit, address):
    (kit / "probes/0003.onnx").write_bytes(b"damaged")
    manifest = (kit / "manifest.json").read_text()
    (kit / "manifest.json").write_text(manifest.replace('"abc"', '"def"'))
    tab = browser.open_page(address)
    start(tab)
    tab.wait_for(FINISHED)
    assert "probes/0003.onnx is damaged" in tab.evaluate("document.getElementById('say').textContent")


def test_the_page_is_one_file_that_asks_nobody():
    html = page.index_html()
    assert "import {" not in html and page.CODE not in html
    assert "http://" not in html and "https://" not in html and " src=" not in html


def test_without_the_runtime_there_is_no_page(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGENAS_ORT_WEB", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="EDGENAS_ORT_WEB"):
        page.files()
