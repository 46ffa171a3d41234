"""Values that stand in place of sound ones."""

from __future__ import annotations

from random import Random
from typing import Any

MODULE = "tests.fuzz.leaves_mark"  # a module that only inputs name
# Of one letter, so that an error line can be searched for how much of it is repeated.
LETTER = "Q"
LONG = (
    LETTER * 5000,
    f"{LETTER} " * 3000,
    f'{LETTER * 150}"' * 40,
    f"{LETTER * 90}," * 60,
    f"{LETTER}'{LETTER} " * 900,
)

# What names that are not UTF-8 are read as, and what is no character by itself.
SURROGATES = ("caf\udce9", "\ud83d", "\udfff\ud800")
NO_UTF8 = (b"caf\xe9", b"\xff\xfe", b"\xed\xa0\x80", b"a\x80")

# None of these is a number as a person would type it, though Python's own functions take some of them.
NO_NUMBERS = (
    *("nan", "NaN", "inf", "-inf", "Infinity", "1_0", "0x10", "1e", "1,5", "text", "True", "null", "1 0", "--1", "+-1"),
    *("\u0663", "\uff11", "1\n", "\t1", "1e400", "-1e400", "9" * 400, "\0"),
)
BAD_NUMBERS = (*NO_NUMBERS, "-1", "-0.5", "1e308", "1e-320", str(2**63), "")
# Any of these may be meant.
OTHER_NUMBERS = ("0", "-0", "0.5", "3", "60001", str(2**31))
NUMBERS = (*BAD_NUMBERS, *OTHER_NUMBERS)
TEXTS = (
    *("", " ", "\0", "a\nb", "a\r\nb", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "\u202egnp.x", "a\u2028b"),
    *("../../outside", "..", "/tmp/edgenas-fuzz-outside/x", "~/x"),
    *("%s%n", "{0.__class__}", "<script>alert(1)</script>"),
    *("$(touch mark)", "-", "--help", "nul", "\ufeff", "\u00e9", "e\u0301", f"{MODULE}:build", MODULE, "os.path"),
    *SURROGATES,
    *LONG,
)
# Of edgenas, but no plugins, or none of every kind.
NOT_PLUGINS = ("edgenas.testing.tiny", "edgenas.testing.tiny:build", "edgenas.cli.main", "edgenas.nowhere", "edgenas.")
PLUGINS = (MODULE, f"{MODULE}:build", f"{MODULE} 1x32x32 10", "tests/fuzz/leaves_mark.py", *NOT_PLUGINS)


def number(rng: Random) -> str:
    """Return what may stand where a number was."""
    return rng.choice(NUMBERS)


def text(rng: Random) -> str:
    """Return what may stand where a text was."""
    return rng.choice(TEXTS) if rng.random() < 0.75 else rng.choice(PLUGINS)


def value(rng: Random) -> Any:
    """Return what may stand where a value of JSON was; NaN and such are written as Python writes them."""
    return rng.choice(_VALUES)(rng)


def deep(open_: str, close: str, depth: int = 100_000) -> str:
    """Return brackets in brackets."""
    return open_ * depth + close * depth


_VALUES = (
    lambda rng: rng.choice((float("nan"), float("inf"), float("-inf"), -1, 0, 1e308, 10**400, -(2**63), 2**63, 0.5)),
    lambda rng: rng.choice((True, False, None, [], {}, [[]], {"a": 1}, [1, 2, 3], "")),
    number,
    text,
)
