"""The page of a device kit: `index.html` runs the kit's probes with onnxruntime-web on whatever opens it.

Served (`python serve.py`, or any web server) it reads the kit beside it. Opened as a file it may read nothing, so it is
one file without imports, and asks for the kit's zip. Neither needs a network.
"""

from __future__ import annotations

import re
from importlib.resources import files as resources

from edgenas.runtimes.web.assets import SCRIPT, WASM, assets

CODE = "/* CODE */"  # where index.html takes the modules
SHARED = ("sessions.mjs",)
OWN = ("kit.mjs", "store.mjs", "measure.mjs", "page.mjs")


def files() -> dict[str, bytes]:
    """Return what a kit holds besides probes and manifest to run in a browser, by name in the zip.

    Raises:
        EnvironmentFault: onnxruntime-web is not to be had.
    """
    runtime = assets()
    return {
        "index.html": index_html().encode(),
        "serve.py": resources("edgenas.runtimes.web").joinpath("serve.py").read_bytes(),
        f"ort/{SCRIPT}": runtime.script.read_bytes(),
        f"ort/{WASM}": runtime.wasm.read_bytes(),
    }


def index_html() -> str:
    """Return the page with all its code in it: modules joined into one, without the imports between them."""
    runtimes, here = resources("edgenas.runtimes.web"), resources(__name__)
    modules = [runtimes.joinpath(name).read_text(encoding="utf-8") for name in SHARED]
    modules += [here.joinpath(name).read_text(encoding="utf-8") for name in OWN]
    code = re.sub(r"^import \{[^}]*\} from \"\./.*\n", "", "\n".join(modules), flags=re.MULTILINE)
    return here.joinpath("index.html").read_text(encoding="utf-8").replace(CODE, code)
