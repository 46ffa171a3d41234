"""Run the README's blocks in order, as they stand, and put what they print into its `text` block.

    python -m tests.benchmarks.readme --output runs/readme [--write]

The folder gets what the blocks speak of: a few drawn photos. Latency tables are cached in it and not in the user's
folder. With `--write`, the README's output and docs/front.svg become those of this run. About 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import picture

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = "python3 -m venv"  # this block makes the environment that all others run in; `.ci/run` begins with the same
SHOWN = "runs/digits"  # the run that the picture shows
# The README shows these lines of what the first block prints of its first search: by how each begins.
KEPT = ("Budget ", "  accuracy ", "  time ")


@dataclass(frozen=True)
class Block:
    """One fenced block of a Markdown file."""

    language: str
    text: str

    @property
    def installs(self) -> bool:
        """Whether it makes the environment itself."""
        return self.text.startswith(INSTALL)


@dataclass(frozen=True)
class Ran:
    """What became of a block."""

    block: Block
    code: int
    stdout: str
    stderr: str
    seconds: float


def blocks(text: str, *languages: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text in these languages, in order."""
    return [Block(*found) for found in BLOCK.findall(text) if found[0] in languages]


def prepare(folder: Path) -> None:
    """Draw what the blocks speak of: `photos`, three classes of 30 JPEG files, and `photo.jpg`."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for label, channel in (("apple", 0), ("lime", 1), ("plum", 2)):
        (folder / "photos" / label).mkdir(parents=True, exist_ok=True)
        for number in range(30):
            pixels = rng.integers(0, 120, (72, 96, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number}.jpg")
    shutil.copyfile(folder / "photos" / "apple" / "0.jpg", folder / "photo.jpg")


def run(folder: Path, text: str) -> Iterator[Ran]:
    """Run the shell and Python blocks of `text` in `folder`, each as it stands; stop after one that fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)  # of tests; a person has none
    for block in blocks(text, "sh", "python"):
        if block.installs:
            continue
        shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        started = time.monotonic()
        done = subprocess.run([*shell, block.text], cwd=folder, env=environment, capture_output=True, text=True)
        yield Ran(block, done.returncode, done.stdout, done.stderr, time.monotonic() - started)
        if done.returncode:
            return


def main() -> int:
    """Run all blocks; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="an empty folder")
    parser.add_argument("--write", action="store_true", help="write the output and the picture into the repository")
    args = parser.parse_args()
    folder = args.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder)
    text, shown = README.read_text(encoding="utf-8"), ""
    for ran in run(folder, text):
        print(f"--- {ran.block.language}, {ran.seconds:.0f} s, exit code {ran.code}\n{ran.block.text}\n{ran.stdout}")
        if ran.code:
            print(ran.stderr)
            return 1
        shown = shown or excerpt(ran.stdout)
    if args.write:
        replaced = re.sub(r"^```text\n.*?^```$", lambda _: f"```text\n{shown}```", text, flags=re.MULTILINE | re.DOTALL)
        README.write_text(replaced, encoding="utf-8")
        picture.write(folder / SHOWN, picture.PICTURE)
    return 0


def excerpt(stdout: str) -> str:
    """Return of a search's output its verdict, its accuracy and its time: the first line that begins so, each."""
    lines = stdout.splitlines()
    kept = (next(line for line in lines if line.startswith(start)) for start in KEPT)
    return "".join(f"{line}\n" for line in kept)


if __name__ == "__main__":
    sys.exit(main())
