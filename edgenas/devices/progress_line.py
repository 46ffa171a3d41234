"""Progress of a kit's runner, in Python 3.9's syntax: this file runs on devices."""

from __future__ import annotations

import time
from typing import TextIO

# Where no terminal is, a line of progress each 15 s; a terminal's line is rewritten five times a second.
PLAIN_EVERY_S, REDRAW_S = 15.0, 0.2


class ProgressLine:
    """Rounds done and time left, a line that is rewritten; plain lines, far between, where no terminal is."""

    def __init__(self, log: TextIO, total: int, left: int) -> None:
        """Begin to count; `left` of `total` rounds are to be measured."""
        self.log, self.total, self.left, self.done = log, total, left, 0
        self.started = time.monotonic()
        self.shown = 0.0

    def step(self, rounds: int) -> None:
        """Count more rounds as done; a negative number if they are to be taken again."""
        self.done += rounds
        self.show("")

    def show(self, text: str) -> None:
        """Show how far it is, with a remark."""
        now = time.monotonic()
        interactive = self.log.isatty()
        every_s = REDRAW_S if interactive else PLAIN_EVERY_S
        if now - self.shown < every_s and self.done < self.left:
            return
        self.shown = now
        finished = self.total - self.left + self.done
        # Rounds that were measured before this start say nothing of its pace.
        left = ""
        if self.done > self.left / 100:  # before, sessions are opened, which takes longer than a round
            rest = (now - self.started) / self.done * (self.left - self.done)
            left = f", {rest // 60:.0f} min {rest % 60:02.0f} s left"
        line = f"{finished} of {self.total} rounds ({finished / max(1, self.total):.0%}){left} {text}"
        self.log.write(f"\r{line:<79}" if interactive else line + "\n")
        if interactive and finished == self.total:
            self.log.write("\n")
        self.log.flush()
