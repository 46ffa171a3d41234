"""Whatever data name, nothing is imported: tables, results, kits and runs of others come from anywhere."""

from __future__ import annotations

import json
import sys
import zipfile
from importlib.metadata import version

import pytest

from edgenas.cli import main as cli
from edgenas.devices.runner import kit_hash
from edgenas.system.file_index import write_kept
from edgenas.system.run_folder import write_format
from tests.devices.conftest import lines_of, write
from tests.latency.tables import HEADER

pytestmark = pytest.mark.usefixtures("any_noise")

FORMS = ("foreign", "./foreign.py", "{here}/foreign.py", "foreign.inner", "antigravity", "edgenas.d/foreign.py")
SPEC = "3x8x8 4"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with code that leaves a mark where it is imported; Python's joke counts, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "edgenas.d").mkdir()
    for place in ("foreign.py", "edgenas.d/foreign.py"):
        (tmp_path / place).write_text("from pathlib import Path\nPath('mark').touch()\n")
    monkeypatch.setitem(sys.modules, "antigravity", None)  # else a browser opens
    return tmp_path


def table(here, name):
    rows = [*(f"# {key}: {value}\n" for key, value in HEADER.items()), "kind,key,ms,p90_ms,runs,macs,params,bytes\n"]
    (here / "t.csv").write_text("".join([*rows, f"net,{name} {SPEC} 122,1,1,1,,,\n"]))
    return ["predict", "122", "--space", "edgenas.testing.tiny", "--shape", "1x8x8", "--table", "t.csv"]


def adapted_from(here, name):
    table(here, name)
    return ["adapt", "results.jsonl", "--from", "t.csv", "--precision", "fp32"]


def results_of(here, name, found):
    lines = json.loads(json.dumps(found))
    manifest = lines[0]["manifest"] | {"space": name, "spec": f"{name} {SPEC}"}
    for probe in manifest["probes"]:
        if probe["kind"] in ("net", "test"):
            probe["id"] = f"{name} {SPEC} {probe['id'].rpartition(' ')[2]}"
    manifest["kit"] = kit_hash(manifest)
    write(here / "results.jsonl", [{**lines[0], "kit": manifest["kit"], "manifest": manifest}, *lines[1:]])
    with zipfile.ZipFile(here / "kit.zip", "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))


def run_with(here, **settings):
    write_format(here / "run", version("edgenas"))
    settings = {"budget_ms": 1, "data": "digits", "space": "mbconv", "device": "amd-epyc-zen4"} | settings
    write_kept(here / "run" / "config.toml", "".join(f"{k} = {json.dumps(v)}\n" for k, v in settings.items()).encode())


RUNS = {
    "search": ["search", "--resume", "--output", "run"],
    "train": ["train", "--resume", "--output", "run"],
    "specialize": ["specialize", "run", "--budget-ms", "1", "--output", "new"],
    "ranking": ["ranking", "run", "--networks", "2"],
    "export": ["export", "run", "--out", "m.onnx"],
    "confirm": ["ingest", "results.jsonl", "--bundle", "run"],
    "kit": ["kit", "--bundle", "run", "-o", "k.zip"],
}
NAMED = ("space", "strategy", "data", "evaluator", "runtime")


def refused(words, here, capsys):
    code = cli.main(words)
    err = capsys.readouterr().err
    assert not (here / "mark").exists() and "foreign" not in sys.modules, f"{words}: it ran"
    assert "Traceback" not in err and "internal error" not in err and err.count("\n") <= 3
    return code, err


@pytest.mark.parametrize("form", FORMS)
def test_of_a_table(here, capsys, form):
    refused(table(here, form.format(here=here)), here, capsys)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("words", [["ingest"], ["ingest", "--kit", "kit.zip"], ["adapt", "--from", "t.csv"]], ids=str)
def test_of_results_and_kits(here, kit_results, capsys, form, words):
    name = form.format(here=here)
    table(here, "mbconv")
    results_of(here, name, lines_of(kit_results))
    code, err = refused([words[0], "results.jsonl", *words[1:], "--out", "tables"], here, capsys)
    assert code in (2, 3), err


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("setting", NAMED)
@pytest.mark.parametrize("command", RUNS)
def test_of_runs(here, kit_results, capsys, command, setting, form):
    (here / "run").mkdir()
    run_with(here, **{setting: form.format(here=here)})
    (here / "results.jsonl").write_bytes(kit_results.read_bytes())
    code, err = refused(RUNS[command], here, capsys)
    assert code in (2, 3), err


@pytest.mark.parametrize(
    "name", ["foreign:build", "foreign.inner:build", "./foreign.py:build", "edgenas.cli.main:main"]
)
@pytest.mark.parametrize("command", ["search", "specialize", "export"])
def test_of_trained_networks_in_runs(here, capsys, command, name):
    (here / "run").mkdir()
    run_with(here, pretrained=name, weights="w.pt")
    code, err = refused(RUNS[command], here, capsys)
    assert code in (2, 3), err
