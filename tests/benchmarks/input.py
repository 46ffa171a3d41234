"""What a network sees of photographs: by evaluation, and by deploy/classify.py from files and from decoded pixels.

    python -m tests.benchmarks.input --data ../shared/data/clothing/test [--photos 200] [--side 96] [--dry]

--data is a folder with a folder per class. Beside its photos stand the golden pictures, and one that is turned and
transparent. The network is EfficientNet-Lite0 with ImageNet's weights, so that its logits are sharp. Tensors are
compared in steps of 1/255, for each --fit; top-1 between the commands as an app would run them. Five minutes.
"""

from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from edgenas.data import folder
from edgenas.data.base import Data, Split
from edgenas.data.storage.options import PhotoOptions
from edgenas.data.view import FITS, Fit
from edgenas.exporters.bundle import verify_bundle, write_bundle
from edgenas.exporters.golden_pictures import drawn
from edgenas.exporters.metadata import Measured, ModelMetadata
from edgenas.exporters.onnx import to_bytes, to_onnx
from edgenas.exporters.session import outputs
from edgenas.nn.network import Network
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.pretrained.converter.trace import trace
from edgenas.system import plugins
from edgenas.workflows.stages.bundle import golden_files, input_steps
from tests.benchmarks._common import record

CLASSIFY = Path(__file__).parents[2] / "deploy" / "classify.py"


@dataclass(frozen=True)
class Seen:
    """What differs between evaluation and the script, in steps of 1/255, and how often top-1 is the same (0..1)."""

    file_levels: float
    pixels_levels: float
    file_top1: float
    pixels_top1: float


def main() -> None:
    """Compare for each way to make a square, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with a folder per class")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--side", type=int, default=96, help="of the network's input, in pixels")
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    model = lite0(arguments.side)
    lines = [
        "| fit | pictures | Pillow's filter | numpy's | top-1 of files | of their pixels |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as place:
        number = gather(arguments.data, Path(place) / "photos", arguments.photos)
        for fit in FITS:
            seen = compare(Path(place), model, fit, arguments.side)
            levels, same = (seen.file_levels, seen.pixels_levels), (seen.file_top1, seen.pixels_top1)
            cells = [*(f"{x:.2f}" for x in levels), *(f"{100 * share:.1f} %" for share in same)]
            lines.append(f"| {fit} | {number} | {' | '.join(cells)} |")
    text = [f"largest difference from evaluation in 1/255, and the share of the same top-1, at {arguments.side} px", ""]
    print("\n".join([*text, *lines])) if arguments.dry else record("What a network sees", [*text, *lines])


def lite0(side: int) -> bytes:
    """Return EfficientNet-Lite0 with ImageNet's weights as a file."""
    found = plugins.load("pretrained", "efficientnet-lite0").build("")
    module = found.module()
    module.load_state_dict(dict(found.weights()))
    steps = trace(module.eval(), found.name)
    space = PretrainedSpace((3, side, side), 1000, steps, found.name)
    network = Network(space.graph(space.whole)).eval()
    network.inherit({f"{s.name}.{n}": w.numpy() for s in steps.values() for n, w in s.weights.items()})
    return to_bytes(to_onnx(network.graph, network.folded()))


def gather(data: Path, place: Path, photos: int) -> int:
    """Link photos, the classes in turn, and write the drawn pictures beside them; return how many there are."""
    classes = [sorted(path for path in base.iterdir() if path.is_file()) for base in sorted(data.iterdir())]
    chosen = [path for path in chain.from_iterable(zip_longest(*classes)) if path is not None][:photos]
    for path in chosen:
        (place / path.parent.name).mkdir(parents=True, exist_ok=True)
        (place / path.parent.name / path.name).symlink_to(path.resolve())
    first = chosen[0].parent.name
    files = [*drawn(65_535), turned_and_transparent()]
    for i, file in enumerate(files):
        (place / first / f"drawn-{i}.{'jpg' if i == 0 else 'png'}").write_bytes(file)
    return len(chosen) + len(files)


def turned_and_transparent() -> bytes:
    """Return a picture that is turned by EXIF and transparent at once, as PNG allows."""
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(drawn(65_535)[1]))
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def compare(place: Path, model: bytes, fit: Fit, side: int) -> Seen:
    """Return how far the script is from evaluation on all pictures in `place`/photos."""
    data = folder.build(
        root=place / "photos",
        **{"seed": 0, "image_size": side, "validation_share": 0.1, "download": False, "strict": True, "device": "cpu"},
        photos=PhotoOptions(fit=fit, cache=place / "cache"),
    )
    bundle = place / fit
    write(bundle, model, data, side)
    script = runpy.run_path(str(CLASSIFY))
    steps = json.loads((bundle / "manifest.json").read_text())["input"]["picture_to_tensor"]
    first = [step["do"] for step in steps].index("colours")
    x, files = [], []
    for split in (data.train, data.validation, data.held_out):
        x += [batch.numpy() for batch, _ in split.batches(64, size=side)]
        files += [path(split, i) for i in range(len(split))]
    evaluated = np.concatenate(x)
    arrays = []
    from_file, from_pixels = [], []
    for i, file in enumerate(files):
        pixels = script["decoded"](file, steps[:first])
        from_file.append(input_steps(data, (3, side, side)).tensor(pixels))  # its square is made by Pillow
        from_pixels.append(script["tensor"](pixels, steps[first:]))
        arrays.append(place / f"{i}.npy")
        np.save(arrays[-1], pixels)
    levels = 255 * np.reshape(data.std, (3, 1, 1))
    expected = outputs(model, evaluated).argmax(1)
    return Seen(
        *(float((np.abs(np.stack(found) - evaluated) * levels).max()) for found in (from_file, from_pixels)),
        *(float(np.mean(classified(bundle, paths) == expected)) for paths in (files, arrays)),
    )


def path(split: Split, index: int) -> Path:
    """Return the file of an image of a split."""
    files: tuple[Path, ...] = split.store.files  # type: ignore[attr-defined]
    return files[split.rows[index]]


def classified(bundle: Path, paths: list[Path]) -> np.ndarray:
    """Return the top-1 of pictures, as the script prints it."""
    command = [sys.executable, "-I", str(CLASSIFY), str(bundle), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return np.array([int(line.rpartition(": ")[2].split()[0]) for line in done.stdout.splitlines()])


def write(bundle: Path, model: bytes, data: Data, side: int) -> None:
    """Write a bundle of the model for pictures as the data set sees them, and check it.

    Raises:
        SystemExit: it does not verify.
    """
    steps = input_steps(data, (3, side, side))
    golden = data.validation.inputs(np.arange(2), side).numpy()
    metadata = ModelMetadata(
        input=steps,
        default="fp32",
        reason="it is the only one",
        fp32=Measured(None, None, None, 0.0),
        int8=None,
        budget_ms=1.0,
        predicted_ms=(1.0, 1.0, 1.0),
        device="none",
        runtime="onnxruntime",
        runtime_version="",
        threads=1,
        data=data.name,
        test_images=1,
    )
    write_bundle(
        bundle,
        model=model,
        int8=None,
        metadata=metadata,
        labels=[str(i) for i in range(1000)],
        golden_images=data.validation.images(np.arange(2)),
        golden_inputs=golden,
        golden_outputs=outputs(model, golden),
        pictures=golden_files(data, steps),
    )
    if problems := verify_bundle(bundle):
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
