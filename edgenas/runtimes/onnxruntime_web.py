"""onnxruntime-web in Node: WebAssembly with SIMD, all graph optimisations, one thread.

More threads need a page that is cross-origin isolated: see onnxruntime_web_chromium.py.
"""

from __future__ import annotations

from edgenas.runtimes.web import node
from edgenas.runtimes.web.engine import Pool
from edgenas.runtimes.web.session import WebRuntime

name = "onnxruntime-web"

_runtime = WebRuntime(name, node.executable, Pool(lambda threads: node.NodeEngine()))
version, open, host = _runtime.version, _runtime.open, _runtime.host
