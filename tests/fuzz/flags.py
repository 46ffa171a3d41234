"""Changes of command lines: of flags that a command has, taken from its parser, and of the words beside them."""

from __future__ import annotations

from argparse import Action
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from edgenas.cli import main as cli
from tests.fuzz import hostile

# These reach out of this machine, start other programs, or ask for a traceback.
LEFT_OUT = frozenset({"--ssh", "--python", "--ray", "--download", "--no-download", "--verbose", "-v", "--workers"})
NUMERIC = frozenset({"N", "X", "MB", "MINUTES", "SHARE", "S", "MS", "[NAME=]MS"})
PATHS = frozenset({"PATH", "FILE", "FOLDER", "RUN"})
# A small number that might be meant, beside those that cannot be.
FEW = ("0", "-0", "0.5")
# In the folder of the case, all of them: as root, a command would put its file in place of a device.
FOLDERS = (
    *("", ".", "a/../b", "a\nb", "\x1b[31m", "-", "a b", "config.toml/x", "~/x", "Q" * 300, "Q" * 5000),
    *("toys.npz", "run"),
)


@dataclass(frozen=True)
class Line:
    """A changed command line.

    Args:
        argv: its words after `edgenas`.
        said: what was changed.
        refused: exit codes that are right for it.
        never: whether it must be refused.
    """

    argv: tuple[str, ...]
    said: str
    refused: frozenset[int]
    never: bool = False


@cache
def actions(command: str) -> tuple[Action, ...]:
    """Return the flags of a command that may be changed."""
    parser = cli._parser(command, cli._command(command))
    return tuple(
        action for action in parser._actions if action.option_strings and not LEFT_OUT & set(action.option_strings)
    )


def changed(argv: Sequence[str], rng: Random) -> Line:
    """Return a command line with something wrong, or odd, in it."""
    how = rng.choice((_value, _value, _value, _value, _cut, _misspelt, _word, _foreign, _swapped))
    return how(tuple(argv), rng)


def _value(argv: tuple[str, ...], rng: Random) -> Line:
    """Add a flag with a value that is none of its kind."""
    valued = [action for action in actions(argv[0]) if action.nargs != 0]
    if not valued:  # as of `list`
        return _word(argv, rng)
    action = rng.choice(valued)
    flag, kind = rng.choice(action.option_strings), str(action.metavar)
    if kind in NUMERIC:
        value = rng.choice((*hostile.BAD_NUMBERS, *FEW))
        line, never = _with(argv, flag, value, rng), value in hostile.NO_NUMBERS
        return Line(line, f"{flag} {value!r:.60}", frozenset({1, 2}), never)
    if kind in PATHS:
        value = rng.choice(FOLDERS)
        return Line(_with(argv, flag, value, rng), f"{flag} {value!r:.60}", frozenset({1, 2, 3, 4}))
    value = rng.choice(hostile.TEXTS)
    return Line(_with(argv, flag, value, rng), f"{flag} {value!r:.60}", frozenset({1, 2, 3}))


def _cut(argv: tuple[str, ...], rng: Random) -> Line:
    at = rng.randrange(1, len(argv)) if len(argv) > 1 else 0
    return Line((*argv[:at], *argv[at + 1 :]), f"without {argv[at]!r}", frozenset({1, 2, 3}))


def _misspelt(argv: tuple[str, ...], rng: Random) -> Line:
    flag = rng.choice([o for action in actions(argv[0]) for o in action.option_strings if o.startswith("--")])
    at = rng.randrange(3, len(flag) + 1)
    wrong = rng.choice((flag[:at] + "q" + flag[at:], flag.upper(), flag[:-1] + "qq", flag.replace("--", "--no-qq-")))
    return Line((*argv, wrong, "1"), f"misspelt {wrong}", frozenset({2}), never=True)


def _word(argv: tuple[str, ...], rng: Random) -> Line:
    """Put another word in place of one that is no flag, or beside it."""
    word, at = rng.choice(hostile.TEXTS), rng.randrange(len(argv))
    rest = argv[at + 1 :] if rng.random() < 0.6 else argv[at:]
    return Line((*argv[:at], word, *rest), f"{word!r:.60} as word {at}", frozenset({1, 2, 3, 4}))


def _foreign(argv: tuple[str, ...], rng: Random) -> Line:
    """Add a flag that another command has."""
    own = {option for action in actions(argv[0]) for option in action.option_strings}
    others = {o for command in cli.COMMANDS for action in actions(command) for o in action.option_strings} - own
    flag = rng.choice(sorted(others - set(cli.RENAMED)))
    return Line((*argv, flag, rng.choice(("1", "x", ""))), f"{flag} of another command", frozenset({2}), never=True)


def _swapped(argv: tuple[str, ...], rng: Random) -> Line:
    words = list(argv)
    i, j = rng.randrange(len(words)), rng.randrange(len(words))
    words[i], words[j] = words[j], words[i]
    return Line(tuple(words), f"words {i} and {j} swapped", frozenset({1, 2, 3, 4}))


def _with(argv: tuple[str, ...], flag: str, value: str, rng: Random) -> tuple[str, ...]:
    """Return a command line with a flag; in place of its own value, if it has one, as the later one wins."""
    if flag.startswith("--") and rng.random() < 0.5:
        return (*argv, f"{flag}={value}")
    return (*argv, flag, value)
