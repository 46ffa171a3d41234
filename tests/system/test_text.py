from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.system import text


@given(st.text())
def test_printable_is_one_line_and_keeps_what_is_harmless(value):
    shown = text.printable(value)
    assert shown.isprintable()
    assert shown == value or not value.isprintable()


@pytest.mark.parametrize("value, shown", [("a\nb", "a\\nb"), ("\x1b[31m", "\\x1b[31m"), ("é 日本", "é 日本")])
def test_printable(value, shown):
    assert text.printable(value) == shown


@pytest.mark.parametrize(
    "seconds, shown",
    [(0, "0.0 s"), (4.24, "4.2 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (65, "1 min 05 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    "ms, shown", [(0.4816, "0.482"), (18.423, "18.42"), (123.45, "123.5"), (1042.4, "1042"), (math.nan, "unknown")]
)
def test_ms(ms, shown):
    assert text.ms(ms) == shown


def test_a_column_of_latencies_has_one_precision():
    assert text.ms_column([0.5, 18.423]) == ["0.50", "18.42"]


@pytest.mark.parametrize(
    "value, shown", [(0, "0"), (730, "730"), (12_345, "12.3 k"), (999_900, "1 M"), (2e18, "2e+06 T")]
)
def test_count(value, shown):
    assert text.count(value) == shown


def test_size():
    assert text.size(4_800_000) == "4.8 MB"


@pytest.mark.parametrize(
    "share, images, shown",
    [(0.9, 100, "90.00 % ± 3.00"), (0.9, None, "90.00 %"), (1.0, 10, "100.00 % ± 0.00"), (None, 10, "unknown")],
)
def test_accuracy(share, images, shown):
    assert text.accuracy(share, images) == shown


@given(st.floats(-2, 3), st.integers(0, 40))
def test_a_bar_fills_its_width(share, width):
    drawn = text.bar(share, width)
    assert len(drawn) == width and drawn.count("█") == round(width * min(1, max(0, share)))


def test_columns_are_aligned():
    lines = text.table(["ms", "name"], [["1.0", "a"], ["10.0", "bcd"]], right={0}).splitlines()
    assert lines == ["  ms  name", " 1.0  a", "10.0  bcd"]


def test_ascii_only():
    assert text.ascii_only("1 ± 2 █░ é") == "1 +- 2 #. \\xe9"


@pytest.mark.parametrize(
    "message, shown",
    [
        ("plain 'words' stay", "plain 'words' stay"),
        (f"no space {'x' * 500!r}; see", f"no space '{'x' * 200}...'; see"),
        (f"no {'a b ' * 100!r}", f"no '{'a b ' * 50}...'"),
        (f"file /{'d' * 400}: gone", f"file /{'d' * 199}... gone"),
        (f"no 'a'; {'see it ' * 40}or 'b'", f"no 'a'; {'see it ' * 40}or 'b'"),
        (f"the run's {'way ' * 60}is 'b'", f"the run's {'way ' * 60}is 'b'"),
        (f"no {'it' + chr(39) + 's ' * 200!r} or 'b'", f"no {('it' + chr(39) + 's ' * 200)[:200] + '...'!r} or 'b'"),
        (f"no {b'a b ' * 100!r} or 'b'", f"no b'{'a b ' * 50}...' or 'b'"),
        (f"no {chr(34) * 2 + chr(39) + 'a ' * 200!r} or 'b'", None),
        (f"an open ' {'and ' * 60}", f"an open ' {'and ' * 60}"),
        ("'\\" * 200_000, None),
    ],
)
def test_messages_repeat_no_more_than_a_little_input(message, shown):
    found = text.shortened(message)
    assert found == shown if shown is not None else len(found) < 250
