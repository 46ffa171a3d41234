"""SIGINT and SIGTERM: a flag first, an exception when patience ends."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what schedulers and `kill` send


class Stopper:
    """While entered, a signal sets `signum`, which a call tells; a second one, or the end of `patience_s`, interrupts.

    Interrupting is raising KeyboardInterrupt, which nothing that survives failed trials catches. With a patience of 0
    the first signal interrupts. Outside the main thread, signals stay as they are.
    """

    def __init__(self, patience_s: float) -> None:
        """Give whoever asks `stop()` `patience_s` seconds to notice a signal."""
        self.patience_s = patience_s
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Tell whether to stop at the next safe point."""
        return self.signum is not None

    def __enter__(self) -> Stopper:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            self._before = {signum: signal.signal(signum, self._caught) for signum in SIGNALS}
            # An alarm, since a thread with a timer could not raise in this thread.
            if self.patience_s:
                self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave them as they were."""
        if self.patience_s and self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)  # first: an alarm without a handler ends the process
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _caught(self, signum: int, frame: FrameType | None) -> None:
        # The second signal decides the exit code, as it is the one that ended the run.
        if self.signum is not None or not self.patience_s:
            self.signum = signum
            self._interrupt(signum, frame)
        self.signum = signum
        signal.setitimer(signal.ITIMER_REAL, self.patience_s)
        with suppress(OSError):  # not `print`, which may be what was interrupted
            os.write(2, b"\nedgenas: stopping at the next safe point; once more to stop at once\n")

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt
