"""Run every probe of an unpacked kit once on its fixed input, by the kit's own code: `_outputs.py KIT OUT.npz`.

Like that code it needs Python 3.9, numpy and onnxruntime alone, and fails where there is more.
"""

import json
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

MORE = ("edgenas", "torch", "onnx", "scipy")


def main(kit: Path, out: Path) -> None:
    found = [name for name in MORE if find_spec(name)]
    if found:
        raise SystemExit(f"{sys.executable} has {', '.join(found)}; numpy and onnxruntime alone were to be there")
    sys.path.insert(0, str(kit / "code"))
    from edgenas.runtimes import onnxruntime as runtime

    probes = json.loads((kit / "manifest.json").read_text())["probes"]
    outputs = {str(i): runtime.open(kit / probe["file"]).run()[0] for i, probe in enumerate(probes)}
    np.savez(out, **outputs)
    print(f"{platform.machine()} | {platform.python_version()} | {np.__version__} | {runtime.version()}")


main(Path(sys.argv[1]), Path(sys.argv[2]))
