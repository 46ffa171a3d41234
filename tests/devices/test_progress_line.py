"""The line of progress of a kit's runner."""

import io

from edgenas.devices import progress_line
from edgenas.devices.progress_line import ProgressLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_lines_are_far_between(monkeypatch):
    log = io.StringIO()
    line = ProgressLine(log, 10, 4)
    for _ in range(4):
        line.step(1)
    first, last = log.getvalue().splitlines()
    assert first.startswith("7 of 10 rounds (70%)") and last.startswith("10 of 10 rounds (100%), 0 min 00 s left")


def test_a_terminal_s_line_is_rewritten_and_ended(monkeypatch):
    monkeypatch.setattr(progress_line, "REDRAW_S", 0)
    log = Terminal()
    line = ProgressLine(log, 2, 2)
    line.show("opening")
    line.step(1)
    line.step(1)
    shown = log.getvalue().split("\r")
    assert [text.split(" of")[0] for text in shown[1:]] == ["0", "1", "2"] and log.getvalue().endswith("\n")
