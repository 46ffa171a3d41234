from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from edgenas.system.progress import LastingStream, Pace, PlainReporter, RichReporter, SilentReporter, make_reporter


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(Terminal):
    """A pipe that nobody reads."""

    tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.fixture
def clock() -> Clock:
    return Clock()


def plain(clock: Clock) -> tuple[io.StringIO, PlainReporter]:
    stream = io.StringIO()
    return stream, PlainReporter(stream, clock=clock)


def test_a_plain_stage_has_a_line_at_its_start_every_ten_seconds_and_at_its_end(clock):
    stream, reporter = plain(clock)
    with reporter.stage("supernet") as tell:
        for step in range(26):
            tell(step, 50, f"epoch {step // 10}")
            clock.now += 1
    assert stream.getvalue().splitlines() == [
        "supernet ...",
        "supernet: 20%, epoch 1, 40 s left",
        "supernet: 40%, epoch 2, 30 s left",
        "supernet: done after 26 s",
    ]


def test_a_plain_stage_that_fails_is_not_called_done(clock):
    stream, reporter = plain(clock)
    with pytest.raises(KeyError), reporter.stage("search"):
        raise KeyError
    assert stream.getvalue().splitlines()[-1] == "search: stopped after 0.0 s"


def test_what_is_said_is_one_line(clock):
    stream, reporter = plain(clock)
    reporter.log("class 'a\nb'\x1b[2J")
    assert stream.getvalue() == "class 'a\\nb'\\x1b[2J\n"


@pytest.mark.parametrize(
    "reports, left",
    [
        ([(0, 0, 10)], ""),  # no pace yet
        ([(0, 0, 10), (5, 5, 10)], "5.0 s left"),
        ([(0, 80, 100), (5, 90, 100)], "5.0 s left"),  # resumed: the pace is of this process
        ([(0, 0, 10), (5, 10, 10)], "0.0 s left"),
        ([(0, 0, 10), (5, 9, 10), (6, 1, 10)], ""),  # begun anew
        ([(0, 0, 10), (5, 9, 10), (6, 1, 10), (8, 3, 10)], "7.0 s left"),
        ([(0, 0, 0), (5, 3, 0)], ""),  # total unknown
        ([(0, 0, 10), (5, 20, 10)], "0.0 s left"),  # more than was announced
    ],
)
def test_time_left(clock, reports, left):
    pace = Pace(clock)
    for clock.now, done, total in reports:
        said = pace.left(done, total)
    assert said == left


def test_a_bar_shows_share_and_time_left(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    reporter = RichReporter(stream, clock=clock)
    with reporter.stage("train [1/3]") as tell:
        for step in range(3):
            tell(step, 4, "best 98.1 %")
            clock.now += 1
        reporter.log("a [bold] line")
        with reporter.stage("inner"):
            pass
    shown = stream.getvalue()
    for text in ("train [1/3]", "50%", "2.0 s left, best 98.1 %", "100%", "a [bold] line", "inner"):
        assert text in shown


def test_bars_are_not_redrawn_for_every_step(clock):
    stream = Terminal()
    with RichReporter(stream, clock=clock).stage("search") as tell:
        before = len(stream.getvalue())
        for step in range(1000):
            tell(step, 1000)
        assert len(stream.getvalue()) == before


def test_after_a_failure_the_next_stage_has_its_own_bar(clock):
    stream = Terminal()
    reporter = RichReporter(stream, clock=clock)
    with pytest.raises(KeyError), reporter.stage("first"):
        raise KeyError
    ended = len(stream.getvalue())
    with reporter.stage("second"):
        pass
    assert "first" not in stream.getvalue()[ended:] and "second" in stream.getvalue()[ended:]


@pytest.mark.parametrize("kind", [PlainReporter, RichReporter])
def test_a_reader_that_goes_away_stops_nothing(kind):
    stream = Gone()
    reporter = kind(stream)
    with reporter.stage("search") as tell:
        tell(1, 2)
        reporter.log("still here")
    assert stream.tries == 1  # it is not tried again


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stream_that_is_closed_is_silent(stream):
    if stream:
        stream.close()
    lasting = LastingStream(stream)
    assert lasting.write("text") == 4
    lasting.flush()


@pytest.mark.parametrize(
    "stream, term, quiet, kind",
    [
        (Terminal(), "xterm", False, RichReporter),
        (Terminal(), "dumb", False, PlainReporter),
        (Terminal(), None, False, PlainReporter),
        (io.StringIO(), "xterm", False, PlainReporter),
        (Terminal(), "xterm", True, SilentReporter),
    ],
)
def test_the_reporter_suits_the_stream(monkeypatch, stream, term, quiet, kind):
    monkeypatch.delenv("TERM", raising=False)
    if term:
        monkeypatch.setenv("TERM", term)
    assert type(make_reporter(quiet, stream)) is kind


def test_silence(capfd):
    reporter = SilentReporter()
    with reporter.stage("search") as tell:
        tell(1, 2, "text")
    reporter.log("text")
    assert capfd.readouterr() == ("", "")


def test_a_closed_pipe_leaves_the_exit_code_alone():
    script = """
import sys
from edgenas.system.progress import make_reporter
reporter = make_reporter()
sys.stdin.read()  # until the reader of stderr is gone
with reporter.stage("search") as tell:
    tell(1, 2)
sys.exit(7)
"""
    read, write = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=write)
    os.close(write)
    os.close(read)
    child.communicate()
    assert child.returncode == 7
