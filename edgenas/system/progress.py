"""Progress for people, on stderr: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

Nothing here fails a run: whoever reads stderr may go away at any moment.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol, TextIO, cast

from edgenas.system.text import duration, printable

if TYPE_CHECKING:
    from rich.progress import Progress

EVERY_S = 10.0  # between two lines about one stage, where there is no terminal
REDRAW_S = 0.2  # between two drawings of a bar: often enough to see it move, rare enough to cost nothing


class ProgressCallback(Protocol):
    """What a stage calls to report how far it is."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report progress.

        Args:
            done: how many of what the stage counts; the count may start again.
            total: how many there are; 0 while that is unknown.
            text: a few words on what is under way.
        """


class Reporter(Protocol):
    """What a run reports its progress to."""

    def stage(self, name: str) -> AbstractContextManager[ProgressCallback]:
        """Return a context for a long step, from its beginning to its end; stages may hold others."""

    def log(self, text: str) -> None:
        """Log one line that should stay."""


class SilentReporter:
    """Reports nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[ProgressCallback]:
        """Ignore the progress of a stage."""
        yield lambda done, total, text="": None

    def log(self, text: str) -> None:
        """Ignore a line."""


class PlainReporter:
    """Reports to log files and simple terminals: a line when a stage begins, every ten seconds, and at its end."""

    def __init__(
        self, stream: IO[str] | None, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ):
        """Write to `stream`, at most every `every_s` seconds of `clock` about one stage."""
        self._stream, self._every_s, self._clock = LastingStream(stream), every_s, clock

    @contextmanager
    def stage(self, name: str) -> Iterator[ProgressCallback]:
        """Log the begin of a stage, its progress with the time left, and its end with the time taken."""
        begun = reported = self._clock()
        pace = Pace(self._clock)

        def report(done: int, total: int, text: str = "") -> None:
            nonlocal reported
            # Asked at each report, as only so it sees that the count went back.
            left = pace.left(done, total)
            if self._clock() - reported >= self._every_s:
                reported = self._clock()
                self.log(", ".join(filter(None, [f"{name}: {share(done, total):.0%}", text, left])))

        self.log(f"{name} ...")
        ending = "stopped"
        try:
            yield report
            ending = "done"
        finally:
            self.log(f"{name}: {ending} after {duration(self._clock() - begun)}")

    def log(self, text: str) -> None:
        """Write a line."""
        self._stream.write(printable(text) + "\n")
        self._stream.flush()


class RichReporter:
    """Reports to a terminal: a line with a bar for each stage, redrawn in place."""

    def __init__(self, stream: IO[str] | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Draw on `stream`, a terminal."""
        from rich.console import Console

        # It has all that rich asks of a file, though not all of the type. Markup is off, as texts hold users' names.
        self._console = Console(file=cast(IO[str], LastingStream(stream)), highlight=False, markup=False)
        self._clock = clock
        self._progress: Progress | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[ProgressCallback]:
        """Draw bar, percentage, time taken and time left."""
        # A terminal has one live display: stages inside others add a bar to it.
        outermost = self._progress is None
        progress = self._progress = self._progress or self._bars()
        bar = progress.add_task(printable(name), total=None, text="")
        pace = Pace(self._clock)
        drawn = self._clock()

        def report(done: int, total: int, text: str = "") -> None:
            nonlocal drawn
            left = pace.left(done, total)
            if self._clock() - drawn >= REDRAW_S:
                drawn = self._clock()
                words = ", ".join(filter(None, [left, printable(text)]))
                progress.update(bar, completed=share(done, total), total=1.0, text=words)
                progress.refresh()

        if outermost:
            progress.start()
        try:
            yield report
            progress.update(bar, completed=1.0, total=1.0, text="")
            progress.refresh()
        finally:
            if outermost:
                progress.stop()  # draws a last time
                self._progress = None

    def log(self, text: str) -> None:
        """Write a line above the bars."""
        self._console.print(printable(text), soft_wrap=True)

    def _bars(self) -> Progress:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        def fixed(width: int) -> Column:
            return Column(width=width, no_wrap=True, overflow="ellipsis")

        return Progress(
            TextColumn("{task.description}", markup=False, table_column=fixed(38)),
            BarColumn(bar_width=12, table_column=fixed(12)),
            TaskProgressColumn(table_column=fixed(4)),
            TimeElapsedColumn(table_column=fixed(7)),
            TextColumn("{task.fields[text]}", markup=False, table_column=fixed(max(1, self._console.width - 66))),
            console=self._console,
            auto_refresh=False,  # a thread that draws would disturb what is being timed
        )


def make_reporter(quiet: bool = False, stream: TextIO | None = None) -> Reporter:
    """Return the reporter that suits a stream.

    Args:
        quiet: whether nothing is to be reported.
        stream: None stands for stderr.
    """
    stream = sys.stderr if stream is None else stream
    if quiet or stream is None:
        return SilentReporter()
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return RichReporter(stream)
    return PlainReporter(stream)


class Pace:
    """How long a stage will still take, at its pace since the first report, or since its count went back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Measure by `clock`, in seconds."""
        self._clock = clock
        self._first: tuple[float, float] | None = None  # share, time
        self._last = 0.0

    def left(self, done: int, total: int) -> str:
        """Return for example `1 min 20 s left`, or nothing while that is unknown."""
        now, here = self._clock(), share(done, total)
        if self._first is None or here < self._last:
            self._first = here, now
        self._last = here
        gained, taken = here - self._first[0], now - self._first[1]
        if gained <= 0 or taken <= 0:
            return ""
        return f"{duration(taken * (1 - here) / gained)} left"


class LastingStream:
    """A text stream that falls silent when nobody reads it any more, instead of failing."""

    def __init__(self, stream: IO[str] | None) -> None:
        """Wrap a stream; None is silent from the beginning."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if that is still possible."""
        self._try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush if that is still possible."""
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    @property
    def encoding(self) -> str:
        """Return the stream's encoding, which decides what bars are drawn with."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _try(self, act: Callable[[IO[str]], object]) -> None:
        if self._stream is None:
            return
        try:
            act(self._stream)
        except (OSError, ValueError):  # the pipe is closed, the terminal gone, the file object closed
            abandon(self._stream)
            self._stream = None


def abandon(stream: IO[str]) -> None:
    """Let a stream that nobody reads end in the null device, or the interpreter complains of it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def share(done: int, total: int) -> float:
    """Return `done` of `total` in 0..1; 0 while the total is unknown."""
    return min(1.0, max(0.0, done / total)) if total > 0 else 0.0
