"""Serve a folder to browsers, with the headers that give its pages a fine clock and threads.

    python serve.py [port]        the folder this file lies in, to every machine that reaches this one

Browsers honour those headers only for 127.0.0.1, localhost and HTTPS; over plain HTTP from elsewhere a page works too,
with a coarser clock. Standard library only, in Python 3.9's syntax: this file also ships in device kits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8000


class Handler(SimpleHTTPRequestHandler):
    """Serves files below the folders of `routes`, by the first part of the address; the route "" takes the rest."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def __init__(self, *args: Any, routes: Mapping[str, Path], **kwargs: Any) -> None:
        """Answer one request from the folders of `routes`."""
        self.routes = routes
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        """Return the file of an address; `..` never leads out of a route's folder."""
        first, _, rest = path.lstrip("/").partition("/")
        route = first if first in self.routes else ""
        # An unknown route gives no path, which no file has: the answer is 404.
        self.directory = str(self.routes.get(route, ""))
        return super().translate_path(rest if route else path) if self.directory else ""

    def end_headers(self) -> None:
        """Ask for cross-origin isolation, and for nothing from the browser's cache: kits change under one address."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Refuse to list folders."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""


class Server(ThreadingHTTPServer):
    """A server with one thread a request."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: a browser that goes away in the middle of a file is no fault."""


def make_server(routes: Mapping[str, Path], host: str = "127.0.0.1", port: int = 0) -> Server:
    """Bind a server, by default to any free port of this machine alone; it does not run yet.

    Args:
        routes: folders by the first part of the address; the route "" takes the rest.
        host: the address to listen on.
        port: 0 takes any free one.
    """
    return Server((host, port), partial(Handler, routes=routes))


def serve_for_ever(folder: Path, port: int = PORT) -> None:
    """Serve a folder to every machine that reaches this one, until interrupted."""
    with make_server({"": folder}, "0.0.0.0", port) as server:
        print(
            f"open http://127.0.0.1:{port}/ here, or http://<address of this machine>:{port}/ on a phone; Ctrl-C ends"
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, and no error
            pass


if __name__ == "__main__":
    serve_for_ever(Path(__file__).resolve().parent, *map(int, sys.argv[1:2]))
