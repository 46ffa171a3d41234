"""One sound example of each kind of input, as small as it can be; each is made when it is first asked for.

Nothing is measured: latencies come from a shipped table, or are made up of the counts of what a kit holds.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.writers import write_folder, write_npz
from tests.fuzz.running import call

SPACE, SHAPE = "edgenas.testing.tiny", "1x32x32"
DEVICE = "amd-epyc-zen4"
SEARCH = {
    "data": "digits",
    "space": SPACE,
    "device": DEVICE,
    "budget_ms": 1.0,
    "trials": 2,
    "batch": 2,
    "finalists": 1,
    "final_epochs": 1,
    "supernet_epochs": 1,
    "shape_choices": 1,
    "controls": "none",
    "int8": False,
}
CODES = ("122", "011", "100")
# Rounds of a kit that are made up: enough for a table, and for the finalists of a run.
ROUNDS, ROUNDS_OF_FINALISTS = 6, 24
REFERENCE_MS = 0.0385
CLASSES, PICTURES = ("cat", "dog"), 12


class Samples:
    """Folders and files that cases get copies of."""

    def __init__(self, root: Path) -> None:
        """Keep them in `root`, which is made if it is not there."""
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    @cached_property
    def run(self) -> Path:
        """A finished search."""
        words = [word for name, value in SEARCH.items() if name != "int8" for word in (_flag(name), str(value))]
        return self._made("run", ["search", *words, "--no-int8", "--output"])

    @cached_property
    def trained(self) -> Path:
        """A finished training of one architecture."""
        return self._made("trained", ["train", CODES[1], "--space", SPACE, "--final-epochs", "1", "--output"])

    @cached_property
    def kit(self) -> Path:
        """A kit of the smallest space."""
        words = ["--shape", SHAPE, "--nets", "8", "--tests", "0", "--precision", "fp32", "--no-page", "-o"]
        return self._made("kit.zip", ["kit", "--space", SPACE, *words])

    @cached_property
    def kit_folder(self) -> Path:
        """The same, unpacked."""
        folder = self.root / "kit"
        with zipfile.ZipFile(self.kit) as archive:
            archive.extractall(folder)
        return folder

    @cached_property
    def results(self) -> Path:
        """What a board would have measured of it."""
        return self._results("results.jsonl", self.kit, ROUNDS)

    @cached_property
    def confirmed(self) -> Path:
        """What it would have measured of the finalists of the run."""
        kit = self._made("finalists.zip", ["kit", "--bundle", str(self.run), "--no-page", "-o"])
        return self._results("confirmed.jsonl", kit, ROUNDS_OF_FINALISTS)

    @cached_property
    def table(self) -> Path:
        """The latency table of that board."""
        folder = self.root / "tables"
        self._done(["ingest", str(self.results), "--out", str(folder)])
        return next(folder.glob("*/*.csv")).rename(self.root / "table.csv")

    @cached_property
    def known(self) -> Path:
        """The table of another board, to adapt from."""
        return self._written("known.csv", self.table.read_text().replace("device: board", "device: elder"))

    @cached_property
    def model(self) -> Path:
        """An ONNX file: a whole network of the kit."""
        manifest = json.loads((self.kit_folder / "manifest.json").read_text())
        file = next(probe["file"] for probe in manifest["probes"] if probe["kind"] == "net")
        path = self.root / "model.onnx"
        path.write_bytes((self.kit_folder / file).read_bytes())
        return path

    @cached_property
    def config(self) -> Path:
        """Settings of the search."""
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in SEARCH.items()]
        return self._written("config.toml", "".join(lines))

    @cached_property
    def codes(self) -> Path:
        """Codes of architectures."""
        return self._written("codes.txt", "".join(f"{code}\n" for code in CODES))

    @cached_property
    def npz(self) -> Path:
        """60 small images of three classes, of which the last of each are for tests."""
        is_train = np.tile(np.arange(20) < 15, 3)
        return write_npz(self.root, is_train=is_train, classes=np.array(["ant", "bee", "cow"]))

    @cached_property
    def blobs(self) -> Path:
        """The same number of images as PNG files in one array."""
        rng, path = np.random.default_rng(1), self.root / "blobs.npz"
        files = [_png(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(60)]
        length = np.array([len(file) for file in files], dtype=np.int32)
        np.savez(path, blob=np.frombuffer(b"".join(files), np.uint8), length=length, label=np.arange(60) % 3)
        return path

    @cached_property
    def images(self) -> Path:
        """A folder of images, one folder a class."""
        return write_folder(self.root / "images", CLASSES, PICTURES)

    @cached_property
    def nothing(self) -> Path:
        """No input: a command line alone."""
        return self._written("nothing", "")

    def _made(self, name: str, argv: Sequence[str]) -> Path:
        """Return what a command writes, whose last word is where."""
        self._done([*argv, str(self.root / name)])
        return self.root / name

    def _done(self, argv: Sequence[str]) -> None:
        outcome = call(argv, self.root)
        if outcome.code != 0:
            raise RuntimeError(f"edgenas {' '.join(argv)}: {outcome.err}\n{outcome.raised}")

    def _written(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(text)
        return path

    def _results(self, name: str, kit: Path, rounds: int) -> Path:
        with zipfile.ZipFile(kit) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        lines = [{"kit": manifest["kit"], "header": _header(manifest["kit"]), "manifest": manifest}]
        for number in range(rounds):
            for i, probe in enumerate(manifest["probes"]):
                figure = {"ms": _made_up_ms(i, number, probe), "runs": 50, "clean_share": 1.0}
                lines.append({"probe": i, "session": number % 3, "slot": number, **figure})
        return self._written(name, "".join(json.dumps(line) + "\n" for line in lines))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _header(kit: str) -> dict[str, str | int]:
    return {
        "unit": "ms",
        "device": "board",
        "processor": "AMD EPYC",
        "threads": 1,
        "threads_requested": 1,
        "runtime": "onnxruntime",
        "version": "1.31.1",
        "provider": "CPUExecutionProvider",
        "optimisation": "all",
        "date": "2026-11-22",
        "kit": kit,
    }


def _made_up_ms(number: int, slot: int, probe: dict[str, Any]) -> float:
    """Return a time by the probe's counts, which repeats within one part of a hundred."""
    if probe["kind"] == "reference":  # as in the shipped table, whose device the run is for
        return round(REFERENCE_MS * (1 + 0.001 * (slot % 5)), 6)
    macs = float(probe.get("macs", 6e4 if probe["kind"] == "net" else 2e3))
    counts = 1e-6 * macs + 1e-7 * float(probe.get("bytes", 0))
    return round((0.004 + counts + 1e-5 * (number % 7)) * (1 + 0.001 * (slot % 5)), 6)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
