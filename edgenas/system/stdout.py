"""What compiled libraries print does not reach stdout, which is the user's, or a program's that reads results there."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def discarded() -> Iterator[None]:
    """Drop what compiled code prints to stdout meanwhile; where there is no stdout, nothing is done."""
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        _flush()
        os.dup2(null, 1)
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def _flush() -> None:
    """Write out what Python and C have in their buffers."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()
    library = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
    library.fflush(None)
