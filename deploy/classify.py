"""Run an edgenas bundle with onnxruntime and numpy: `python classify.py BUNDLE [PICTURE ...]`.

A picture is a file, which Pillow decodes, or decoded pixels in an .npy file: uint8 (H, W), (H, W, C), (C, H, W), or
several of the last two. All that is done to it stands in manifest.json, as steps in their order. Without a picture the
golden ones are run from every stage: file to pixels, pixels to input, input to output; the first that differs is named.

Exit codes: 0 done, 1 the golden pictures give something else, 2 wrong arguments, 3 a damaged file, 4 a missing package.
"""

import io
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reports usage to its makers, unless told before its import
try:
    import numpy as np
    import onnxruntime
except ModuleNotFoundError as error:
    print(f"classify.py: {error.name} is missing; pip install numpy onnxruntime pillow", file=sys.stderr)
    sys.exit(4)

USAGE = "usage: python classify.py BUNDLE [PICTURE ...]"
DIFFERS, WRONG, DAMAGED, LACKING = 1, 2, 3, 4  # exit codes


class Stop(Exception):
    """What ends the work on the bundle or on a picture: an exit code, and a line for people."""

    def __init__(self, code, line):
        """Stop with an exit code and a line."""
        super().__init__(" ".join(line.split()))
        self.code = code


@contextmanager
def blaming(file, advice):
    """Let whatever fails inside end as a damaged file."""
    try:
        yield
    except Stop:
        raise
    except ModuleNotFoundError as error:
        raise Stop(LACKING, f"{file}: {error.name} is missing; pip install numpy onnxruntime pillow") from error
    except Exception as error:  # of json, zip files, numpy, Pillow and onnxruntime, each with kinds of its own
        said = str(error).splitlines() or [""]
        raise Stop(DAMAGED, f"{file}: {advice} ({type(error).__name__}: {said[0][:120]})") from error


def decoded(file, steps):
    """Return the pixels (H, W, 3) of a file or its bytes, by the steps before `colours`."""
    from PIL import Image, ImageOps

    image = Image.open(file)
    for step in steps:
        if step["do"] == "upright":
            image = ImageOps.exif_transpose(image)
        elif step["do"] == "depth" and image.mode.startswith("I"):
            levels = np.asarray(image) * (step["to"] / step["white"])
            image = Image.fromarray(np.floor(levels + 0.5).clip(0, step["to"]).astype(np.uint8))
        elif step["do"] == "flatten" and image.has_transparency_data:
            layer = image.convert("RGBA")
            ground = Image.new("RGBA", layer.size, tuple(step["alpha_over"]))
            image = Image.alpha_composite(ground, layer)
    return np.asarray(image.convert("RGB"))


def colours(x, step):
    """Return pixels with the channels that the model takes: grey by weights, or grey repeated."""
    if step["mode"] == "grey" and x.shape[2] == 3:
        return np.floor(x @ np.array(step["weights"]) + 0.5)[..., None]
    return np.repeat(x, 3, axis=2) if step["mode"] == "RGB" and x.shape[2] == 1 else x


def crop(x, step):
    """Return the largest centred square."""
    side = min(x.shape[:2])
    top, left = (x.shape[0] - side) // 2, (x.shape[1] - side) // 2
    return x[top : top + side, left : left + side]


def resize(x, step):
    """Return pixels in another size by the bilinear, antialiased filter: first each row, then each column."""
    sides = [step["height"], step["width"]]
    if step["keep_aspect"]:
        share = min(sides) / max(x.shape[:2])
        sides = [max(1, round(side * share)) for side in x.shape[:2]]
    for axis in (1, 0):
        if x.shape[axis] != sides[axis]:
            weights = filter_of(x.shape[axis], sides[axis], step["weight_bits"])
            x = np.moveaxis(np.tensordot(weights, x.astype(np.float64), (1, axis)), 0, axis)
            x = x if step["rounding"] is None else np.floor(x + 0.5)
    return x


def filter_of(before, after, bits):
    """Return the weights of a triangle filter, (after, before), as wide as what a pixel covers but never below one.

    They are rounded to so many binary digits, or not at all.
    """
    scale = before / after
    centres = (np.arange(after)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(before) + 0.5 - centres) / max(scale, 1))
    weights = weights * (1 / weights.sum(axis=1, keepdims=True))
    return weights if bits is None else np.floor(weights * 2**bits + 0.5) / 2**bits


def pad(x, step):
    """Return pixels in the middle of a square of one value."""
    square = np.full((step["height"], step["width"], x.shape[2]), step["value"], x.dtype)
    top, left = (square.shape[0] - x.shape[0]) // 2, (square.shape[1] - x.shape[1]) // 2
    square[top : top + x.shape[0], left : left + x.shape[1]] = x
    return square


STEPS = {
    "colours": colours,
    "crop": crop,
    "resize": resize,
    "pad": pad,
    "divide": lambda x, step: x / np.float32(step["by"]),
    "normalise": lambda x, step: (x - np.float32(step["mean"])) / np.float32(step["std"]),
    "layout": lambda x, step: x.transpose([2, 0, 1]),
}


def tensor(pixels, steps):
    """Return the input (C, H, W) of pixels (H, W, C), by the steps from `colours` on."""
    x = pixels.astype(np.float32)
    for step in steps:
        x = STEPS[step["do"]](x, step)
    return np.ascontiguousarray(x, dtype=np.float32)


def pictures(path, steps):
    """Return the decoded pixels (H, W, C) of all pictures in a file."""
    if not path.is_file():
        raise Stop(WRONG, f"{path}: {'a folder, no picture' if path.is_dir() else 'no such file'}")
    if path.suffix != ".npy":
        with blaming(path, "no picture that Pillow reads"):
            return [decoded(path, steps)]
    with blaming(path, "no array of numpy"):
        array = np.load(path)
    single = array[..., None] if array.ndim == 2 else array
    found = list(single if single.ndim == 4 else [single])
    if array.dtype != np.uint8 or not all(one.ndim == 3 and {1, 3} & {one.shape[0], one.shape[2]} for one in found):
        raise Stop(DAMAGED, f"{path}: {array.dtype} {array.shape}, not pixels as uint8 (H, W), (H, W, C) or (C, H, W)")
    return [one if one.shape[-1] in (1, 3) else one.transpose(1, 2, 0) for one in found]


def main(arguments):
    """Classify files, or check the golden pictures; return the exit code."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__ if arguments else USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else WRONG
    bundle, files, code = Path(arguments[0]), arguments[1:], 0
    try:
        manifest, session = opened(bundle)
        steps = manifest["input"].get("picture_to_tensor", [])
        if files and not steps:
            raise Stop(WRONG, f"{bundle}: of an older version, which does not say how pictures become inputs")
    except Stop as stop:
        return failed(stop)
    first = next((i for i, step in enumerate(steps) if step["do"] == "colours"), 0)
    from_file, from_pixels = steps[:first], steps[first:]

    def logits(inputs):
        return np.concatenate([session.run(None, {manifest["input"]["name"]: one[None]})[0] for one in inputs])

    # A picture that cannot be read keeps none of the others from being classified.
    for file in files:
        try:
            for pixels in pictures(Path(file), from_file):
                with blaming(file, "cannot be classified"):
                    print(f"{file}: {likeliest(logits([tensor(pixels, from_pixels)])[0], manifest['labels'])}")
        except Stop as stop:
            code = max(code, failed(stop))
    if not files:
        try:
            with blaming(bundle, "the golden examples are damaged; copy the bundle again"):
                golden_check(bundle, manifest, from_file, from_pixels, logits)
        except Stop as stop:
            code = failed(stop)
    return code


def failed(stop):
    """Print what stopped the work; return its exit code."""
    print(f"classify.py: {stop}", file=sys.stderr)
    return stop.code


def opened(bundle):
    """Return manifest and session of a bundle."""
    if not (bundle / "manifest.json").is_file():
        what = "holds no manifest.json" if bundle.is_dir() else "is no folder"
        raise Stop(WRONG, f"{bundle} {what}; name the folder of a finished run")
    with blaming(bundle / "manifest.json", "damaged; copy the bundle again"):
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        model = bundle / manifest["default"]["file"]
        for part, kind in (("labels", list), ("models", dict), ("input", dict)):
            if not isinstance(manifest[part], kind):
                raise TypeError(part)
    with blaming(model, "damaged; copy the bundle again"):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is told in one line, by the exception
        return manifest, onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def likeliest(row, labels):
    """Return the five likeliest labels of a row of logits, with their shares."""
    shares = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
    best = np.argsort(-shares, kind="stable")[:5]
    return ", ".join(f"{one_line(labels[i])} {shares[i]:.1%}" for i in best)


def golden_check(bundle, manifest, from_file, from_pixels, logits):
    """Run the golden examples from every stage; print the labels of the inputs, or stop with the stage that differs."""
    name = manifest["default"]["file"]
    output = "int8_output" if name == "model.int8.onnx" else "output"
    if "pictures" in manifest:
        known = np.load(bundle / manifest["pictures"]["file"])
        allowed = manifest["pictures"]["tolerance_of_255"]
        levels = 255 * np.reshape(manifest["input"]["normalisation"]["std"], (-1, 1, 1))
        numbers = range(manifest["pictures"]["number"])
        try:
            found = [decoded(io.BytesIO(known[f"file_{i}"].tobytes()), from_file) for i in numbers]
            off = max(difference(found[i], known[f"pixels_{i}"]) for i in numbers)
            if off > allowed["pixels"]:
                at_most = f"at most {allowed['pixels']} is right"
                raise Stop(DIFFERS, f"file to pixels: {off:g} of 255 off the golden pixels, {at_most}")
        except ModuleNotFoundError:
            print("file to pixels was not checked: Pillow is not installed", file=sys.stderr)
        inputs = [tensor(known[f"pixels_{i}"], from_pixels) for i in numbers]
        off = max(difference(a, b, levels) for a, b in zip(inputs, known["input"], strict=True))
        if off > allowed["input"] + 0.01:  # floats round
            at_most = f"at most {allowed['input']} is right"
            raise Stop(DIFFERS, f"pixels to input: {off:.3g} of 255 off the golden input, {at_most}")
    for file in [manifest[key]["file"] for key in ["pictures"] if key in manifest] + ["golden.npz"]:
        golden = np.load(bundle / file)
        found, expected = logits(golden["input"]), golden[output]
        limit = manifest["models"][name]["golden_tolerance"] * max(1, np.abs(expected).max())
        if not np.abs(found - expected).max() <= limit:
            raise Stop(
                DIFFERS,
                f"input to output: of {file} {name} gives something else; "
                "these are not the golden outputs, the file or the runtime is not the one that was checked",
            )
    for best in found.argmax(axis=1):
        print(one_line(manifest["labels"][best]))


def one_line(label):
    """Return a label on one line: it is the name of a folder, which may hold line breaks."""
    return " ".join(label.split())


def difference(one, other, scale=1):
    """Return the largest difference, infinite between arrays of different shapes."""
    return float((np.abs(one.astype(np.float32) - other) * scale).max()) if one.shape == other.shape else np.inf


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
