"""Serve a folder to browsers, with the headers that give its pages a fine clock and threads.

    python serve.py [port]                      the folder this file lies in, to this machine alone
    python serve.py [port] --host 0.0.0.0       to a phone in the same network, too

Browsers honour those headers only for 127.0.0.1, localhost and HTTPS; over plain HTTP from elsewhere a page works too,
with a coarser clock. Others in the network see nothing: the address has a random part, drawn at each start, which is
printed, as a QR code as well. Standard library only, in Python 3.9's syntax: this file also ships in device kits.
"""

from __future__ import annotations

import argparse
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8000
HERE = "127.0.0.1"
# Of a QR code of version 4 with error correction L (ISO/IEC 18004), the one size that is drawn here.
SIDE, DATA, CORRECTION = 33, 80, 20
FINDERS, ALIGNED = ((0, 0), (0, SIDE - 7), (SIDE - 7, 0)), 26
FORMAT = "111011111000100"  # level L, mask 0


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


def make_server(routes: Mapping[str, Path], host: str = HERE, port: int = 0) -> Server:
    """Bind a server, by default to any free port of this machine alone; it does not run yet.

    Args:
        routes: folders by the first part of the address; the route "" takes the rest.
        host: the address to listen on.
        port: 0 takes any free one.
    """
    return Server((host, port), partial(Handler, routes=routes))


def serve_for_ever(folder: Path, port: int = PORT, host: str = HERE) -> int:
    """Serve a folder until interrupted; to other machines, behind a random address alone. Return the exit code.

    Args:
        folder: what is served.
        port: to listen on; 0 takes any free one.
        host: address to listen on: this machine's own, or `0.0.0.0` for all that reach it.
    """
    token = "" if host == HERE else secrets.token_urlsafe(16)
    try:
        made = make_server({token: folder}, host, port)
    except (OSError, OverflowError, ValueError) as error:  # taken by another program, forbidden, or no such place
        what = getattr(error, "strerror", None) or error
        step = "give another, as in `python serve.py 8001`; 0 takes any free one"
        print(f"serve.py: cannot listen on port {port} of {host} ({what}); {step}", file=sys.stderr)
        return 4
    with made as server:
        if token:
            address = f"http://{own_address(host)}:{server.server_port}/{token}/"
            print(f"open {address} on the device; Ctrl-C ends", flush=True)
            if code := printable_code(address, sys.stdout.encoding):
                print(code, flush=True)
        else:
            print(
                f"open http://{HERE}:{server.server_port}/ here, or begin with `--host 0.0.0.0` for a phone in this "
                "network; Ctrl-C ends",
                flush=True,
            )
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, and no error
            pass
    return 0


def own_address(host: str) -> str:
    """Return the address by which others in the network reach this machine."""
    if host != "0.0.0.0":
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of documentation; nothing is sent, but the way there has an address
        except OSError:
            return HERE
        address: str = probe.getsockname()[0]
    return address


def printable_code(address: str, encoding: str | None) -> str:
    """Return a QR code of an address; empty if it is too long for one, or the terminal has no signs to draw it with."""
    try:
        code = qr_code(address)
        code.encode(encoding or "ascii")
    except (ValueError, LookupError):
        return ""
    return code


def qr_code(text: str) -> str:
    """Return a QR code of up to 78 bytes, in lines for a terminal; dark modules are blanks, as terminals are dark.

    Raises:
        ValueError: the text is longer.
    """
    modules = qr_modules(text.encode())
    rows = [[False] * (SIDE + 8) for _ in range(SIDE + 9)]  # a quiet zone of four, and a row to make pairs
    for y, row in enumerate(modules):
        rows[y + 4][4 : 4 + SIDE] = row
    pairs = zip(rows[::2], rows[1::2])
    return "\n".join("".join("█▄▀ "[2 * below + above] for above, below in zip(*pair)) for pair in pairs)


def qr_modules(content: bytes) -> list[list[bool]]:
    """Return the modules of a QR code of version 4-L in byte mode, row by row; True is dark.

    Raises:
        ValueError: there are more than 78 bytes.
    """
    if len(content) > DATA - 2:
        raise ValueError(f"{len(content)} bytes do not fit into a QR code of version 4")
    bits = f"0100{len(content):08b}" + "".join(f"{byte:08b}" for byte in content) + "0000"
    data = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    data += [(0xEC, 0x11)[i % 2] for i in range(DATA - len(data))]
    words = "".join(f"{byte:08b}" for byte in [*data, *_correction(data)])
    fixed = dict(_fixed())
    stream = iter(words)
    for x, y in _way():
        if (y, x) not in fixed:
            fixed[y, x] = (next(stream, "0") == "1") != ((x + y) % 2 == 0)
    return [[fixed[y, x] for x in range(SIDE)] for y in range(SIDE)]


def _fixed() -> Iterator[tuple[tuple[int, int], bool]]:
    """Yield the modules that do not depend on the content, by row and column."""
    for i in range(8, SIDE - 8):
        yield (6, i), i % 2 == 0
        yield (i, 6), i % 2 == 0
    for top, left in FINDERS:
        for y in range(max(0, top - 1), min(SIDE, top + 8)):
            for x in range(max(0, left - 1), min(SIDE, left + 8)):
                yield (y, x), max(abs(y - top - 3), abs(x - left - 3)) in (0, 1, 3)
    for y in range(ALIGNED - 2, ALIGNED + 3):
        for x in range(ALIGNED - 2, ALIGNED + 3):
            yield (y, x), max(abs(y - ALIGNED), abs(x - ALIGNED)) != 1
    near = [(8, x) for x in (*range(6), 7)] + [(8, 8), (7, 8)] + [(y, 8) for y in range(5, -1, -1)]
    far = [(y, 8) for y in range(SIDE - 1, SIDE - 8, -1)] + [(8, x) for x in range(SIDE - 8, SIDE)]
    for place in (near, far):
        for position, bit in zip(place, FORMAT):
            yield position, bit == "1"
    yield (SIDE - 8, 8), True


def _way() -> Iterator[tuple[int, int]]:
    """Yield columns and rows in the order in which modules take bits: pairs of columns, up and down, from the right."""
    for turn, right in enumerate(column for column in (*range(SIDE - 1, 6, -2), *range(5, 0, -2))):
        for i in range(SIDE):
            for x in (right, right - 1):
                yield x, SIDE - 1 - i if turn % 2 == 0 else i


def _correction(data: Sequence[int]) -> list[int]:
    """Return the words of Reed and Solomon's code, over the field of 256 by the polynomial 0x11D."""
    generator = [1]
    root = 1
    for _ in range(CORRECTION):
        generator = [a ^ _product(b, root) for a, b in zip([*generator, 0], [0, *generator])]
        root = _product(root, 2)
    rest = [*data, *[0] * CORRECTION]
    for i in range(len(data)):
        factor = rest[i]
        for j, value in enumerate(generator):
            rest[i + j] ^= _product(value, factor)
    return rest[len(data) :]


def _product(a: int, b: int) -> int:
    found = 0
    while b:
        found ^= a if b & 1 else 0
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve this folder to browsers.")
    parser.add_argument("port", type=int, nargs="?", default=PORT)
    parser.add_argument(
        "--host", default=HERE, help="0.0.0.0 serves all that reach this machine, behind a random address"
    )
    arguments = parser.parse_args()
    sys.exit(serve_for_ever(Path(__file__).resolve().parent, arguments.port, arguments.host))
