"""onnxruntime-web in a page of headless Chromium: WebAssembly with SIMD, all graph optimisations, a 5 us clock."""

from __future__ import annotations

from edgenas.runtimes.web import chromium
from edgenas.runtimes.web.engine import Pool
from edgenas.runtimes.web.session import WebRuntime

name = "onnxruntime-web-chromium"

_runtime = WebRuntime(name, chromium.executable, Pool(chromium.ChromiumEngine))
version, open, host = _runtime.version, _runtime.open, _runtime.host
