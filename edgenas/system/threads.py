"""Settings of OpenMP and of the C library, so that training on a CPU runs at its speed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
LARGEST_BLOCK = 1 << 30  # bytes: above any tensor of an edge network


def configure_threads() -> None:
    """Let waiting threads spin only briefly, and keep freed memory; what the user has set by environment stays.

    On a busy machine, spinning makes a training step 3 times slower. Activations are freed and asked for again at each
    step: given back to the system every time, their pages fault again, which takes a quarter of a step. OpenMP reads
    its variable when torch is first imported, so this comes before.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # turns of its waiting loop, then the thread sleeps
    is_set = any(name.startswith("MALLOC_") for name in os.environ)
    mallopt = None if is_set else of_glibc("mallopt")
    if mallopt is not None:
        # Blocks from the first size on come from the system and go back to it when they are freed; from the second on,
        # so does the free end of the heap. With one arena, what one thread has freed serves all.
        mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        mallopt(M_TRIM_THRESHOLD, LARGEST_BLOCK)
        mallopt(M_ARENA_MAX, 1)


@contextmanager
def threads_of_its_own() -> Iterator[None]:
    """Put the number of torch's threads back to what it was, if torch was there."""
    torch = sys.modules.get("torch")  # its import takes a second
    before = torch and torch.get_num_threads()
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function that glibc has and other C libraries have not, or None on those."""
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    return found
