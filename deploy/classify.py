"""Run an edgenas bundle with onnxruntime and numpy alone: `python classify.py BUNDLE [IMAGES.npy]`.

Without images it runs the bundle's golden inputs and checks what comes out. IMAGES.npy holds uint8 (n, C, H, W), in the
height and width that manifest.json names.
"""

import json
import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reports usage to its makers, unless told before its import
import numpy as np
import onnxruntime

bundle = Path(sys.argv[1])
manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
file, image = manifest["default"]["file"], manifest["input"]
session = onnxruntime.InferenceSession(str(bundle / file), providers=["CPUExecutionProvider"])

golden = np.load(bundle / "golden.npz")
x = golden["input"]
if len(sys.argv) > 2:
    mean, std = (np.reshape(image["normalisation"][key], (-1, 1, 1)) for key in ("mean", "std"))
    x = ((np.load(sys.argv[2]) / 255 - mean) / std).astype(np.float32)
logits = np.concatenate([session.run(None, {image["name"]: one[None]})[0] for one in x])
if len(sys.argv) == 2:
    expected = golden["int8_output" if file == "model.int8.onnx" else "output"]
    limit = manifest["models"][file]["golden_tolerance"] * max(1, np.abs(expected).max())
    if not np.abs(logits - expected).max() <= limit:
        sys.exit(f"{file}: these are not the golden outputs; the file or the runtime is not the one that was checked")

for best in logits.argmax(axis=1):
    print(manifest["labels"][best])
