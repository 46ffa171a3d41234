"""Changes of any one file: its bytes, its lines, and values in it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import hostile

Change = Callable[[Path, Random], str]  # changes what is at a path, and says what it did
NUMBER = r"-?\d+(\.\d+)?(e-?\d+)?"
OTHER_NUMBER = "a character of a file without a hash is another: it reads as another sound file"
FEWER_LINES = "a person may leave a line out, and a board may lack a round"
OTHER_ORDER = "lines in another order hold the same; order decides the last digit of a sum, and what is printed first"
OTHER_VALUE = "another value of a setting, or of a file without a hash, is another sound input"


@dataclass(frozen=True)
class Mutation:
    """A kind of change.

    Args:
        name: of it.
        change: does it.
        broken: whether the file cannot be of its kind any more, so that nothing but "damaged" is right.
        gone: whether there is no file any more, which is usage.
        harmless: why another result without a word may be right; empty if it never is.
    """

    name: str
    change: Change
    broken: bool = False
    gone: bool = False
    harmless: str = ""


def truncated(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    size = rng.randrange(len(content)) if content else 0
    path.write_bytes(content[:size])
    return f"the first {size} of {len(content)} bytes"


def bit_flipped(path: Path, rng: Random) -> str:
    content = bytearray(path.read_bytes() or b"\0")
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {at}"


def byte_replaced(path: Path, rng: Random) -> str:
    content = bytearray(path.read_bytes() or b"\0")
    at = rng.randrange(len(content))
    byte = rng.choice((0, 10, 13, 32, 34, 44, 45, 48, 127, 128, 255, rng.randrange(256)))
    content[at] = byte
    path.write_bytes(content)
    return f"byte {at} is {byte}"


def emptied(path: Path, rng: Random) -> str:
    path.write_bytes(b"")
    return "no bytes"


def noise(path: Path, rng: Random) -> str:
    path.write_bytes(rng.randbytes(rng.choice((1, 100, 10_000))))
    return "noise"


def page(path: Path, rng: Random) -> str:
    path.write_text("<!doctype html>\n<html><title>404 Not Found</title></html>\n")
    return "a page of a server"


def zeroed(path: Path, rng: Random) -> str:
    content = bytearray(path.read_bytes())
    start = rng.randrange(max(1, len(content)))
    size = min(len(content) - start, rng.choice((16, 512, 4096)))
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return f"{size} zeros from byte {start} on"


def replaced_by_folder(path: Path, rng: Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def missing(path: Path, rng: Random) -> str:
    path.unlink()
    return "no file"


def link_to_itself(path: Path, rng: Random) -> str:
    path.unlink()
    path.symlink_to(path.name)
    return "a link to itself"


def as_utf16(path: Path, rng: Random) -> str:
    return _written(path, _text(path).encode(rng.choice(("utf-16", "utf-16-le", "utf-32"))), "UTF-16 or UTF-32")


def with_mark(path: Path, rng: Random) -> str:
    return _written(path, b"\xef\xbb\xbf" + path.read_bytes(), "a byte order mark")


def with_returns(path: Path, rng: Random) -> str:
    return _written(
        path, path.read_bytes().replace(b"\n", rng.choice((b"\r\n", b"\r"))), "ends of lines of another system"
    )


def with_zero(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    at = rng.randrange(len(content) + 1)
    return _written(path, content[:at] + b"\0" + content[at:], f"a zero at byte {at}")


def nested(path: Path, rng: Random) -> str:
    """Put brackets in brackets in place of a line, or of all."""
    deep = rng.choice((hostile.deep("[", "]"), hostile.deep('{"a":', "}"), "a = " + hostile.deep("[", "]", 20_000)))
    if rng.random() < 0.5:
        return _written(path, deep.encode(), "brackets in brackets")
    return _at_line(path, rng, lambda line: [deep], "brackets in brackets")


def long_line(path: Path, rng: Random) -> str:
    long = rng.choice((*hostile.LONG, hostile.LETTER * 200_000, "#" + "Q " * 100_000))
    return _at_line(path, rng, lambda line: rng.choice(([line + long], [long], [line, long])), "a long line")


def line_deleted(path: Path, rng: Random) -> str:
    return _at_line(path, rng, lambda line: [], "deleted")


def line_doubled(path: Path, rng: Random) -> str:
    return _at_line(path, rng, lambda line: [line, line], "twice")


def lines_swapped(path: Path, rng: Random) -> str:
    lines = _text(path).split("\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return _written(path, _bytes("\n".join(lines)), f"lines {i + 1} and {j + 1} swapped")


def number_spoilt(path: Path, rng: Random) -> str:
    """Put what is no number, or none that may be, in place of one that stands in the text."""
    return _replaced(path, rng, NUMBER, rng.choice(hostile.BAD_NUMBERS))


def setting_spoilt(path: Path, rng: Random) -> str:
    """Do the same in TOML, which has numbers of its own: there 1_0 is ten, 0x10 sixteen, and blanks do not count."""
    wrong = [n for n in hostile.BAD_NUMBERS if n not in ("1_0", "0x10") and n.strip() != "1"]
    return _replaced(path, rng, NUMBER, rng.choice(wrong))


def number_replaced(path: Path, rng: Random) -> str:
    return _replaced(path, rng, NUMBER, rng.choice(hostile.OTHER_NUMBERS))


def word_replaced(path: Path, rng: Random) -> str:
    return _replaced(path, rng, r"[A-Za-z_][\w.-]*", hostile.text(rng))


def setting_replaced(path: Path, rng: Random) -> str:
    """Put another value, of another type, behind an `=` or a `:` of a line."""
    values = ('"text"', "-1", "0", "nan", "inf", "true", "[]", "{}", "[1, 2]", '{ a = "b" }', "1_0", "1979-05-27", '""')
    chosen = rng.choice((*values, json.dumps(hostile.text(rng))))
    return _replaced(path, rng, r"(?<=[=:] ).+", chosen)


def json_changed(path: Path, rng: Random) -> str:
    """Change something in a file of JSON, or in one of its lines if each of them is JSON."""
    lines = _text(path).rstrip("\n").split("\n")
    try:
        json.loads(lines[0])
    except ValueError:
        lines = ["\n".join(lines)]
    # The first line tells what all others are about.
    at = 0 if rng.random() < 0.5 else rng.randrange(len(lines))
    value = json.loads(lines[at])
    value, said = changed_inside(value, rng)
    lines[at] = json.dumps(value)
    return _written(path, _bytes("\n".join(lines) + "\n"), f"line {at + 1}: {said}")


def changed_inside(value: Any, rng: Random, where: str = "") -> tuple[Any, str]:
    """Return a value of JSON with something in it changed, and what: an entry, replaced, deleted, doubled or added."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        how, name = rng.random(), f"{where}.{key}"
        if how < 0.1:
            rest = {k: v for k, v in value.items() if k != key} if isinstance(value, dict) else _without(value, key)
            return rest, f"{name} deleted"
        if how < 0.15:
            new = hostile.value(rng)
            more = value | {"more": new} if isinstance(value, dict) else [*value, rng.choice((new, value[key]))]
            return more, f"{where} has one more"
        found, said = changed_inside(value[key], rng, name)
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[key] = found
        return copy, said
    new = hostile.value(rng)
    return new, f"{where} is {new!r:.60}"


def _without(value: list[Any], number: int) -> list[Any]:
    return [*value[:number], *value[number + 1 :]]


def _at_line(path: Path, rng: Random, change: Callable[[str], list[str]], said: str) -> str:
    lines = _text(path).split("\n")
    at = rng.randrange(max(1, len(lines) - 1))
    lines[at : at + 1] = change(lines[at])
    return _written(path, _bytes("\n".join(lines)), f"line {at + 1}: {said}")


def _replaced(path: Path, rng: Random, pattern: str, new: str) -> str:
    text = _text(path)
    found = list(re.finditer(pattern, text))
    if not found:
        return _written(path, _bytes(text + new), f"{new!r:.60} at the end")
    place = rng.choice(found)
    said = f"{new!r:.60} in place of {place.group()!r:.60} at character {place.start()}"
    return _written(path, _bytes(text[: place.start()] + new + text[place.end() :]), said)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character that no byte of the file stands for
        return text.encode("utf-8", "surrogatepass")


def _written(path: Path, content: bytes, said: str) -> str:
    path.write_bytes(content)
    return said


def copied(source: Path, target: Path) -> None:
    """Copy a file or a folder."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target)


# Of every file. A flip may make another sound file of one that carries no hash.
ANY = (
    Mutation("truncate", truncated),
    Mutation("flip bit", bit_flipped, harmless=OTHER_NUMBER),
    Mutation("replace byte", byte_replaced, harmless=OTHER_NUMBER),
    Mutation("empty", emptied, broken=True),
    Mutation("noise", noise, broken=True),
    Mutation("page", page, broken=True),
    Mutation("zeros", zeroed),
    Mutation("folder", replaced_by_folder, gone=True),
    Mutation("missing", missing, gone=True),
    Mutation("link", link_to_itself, gone=True),
)
TEXT = (
    *ANY,
    Mutation("UTF-16", as_utf16, broken=True),
    Mutation("byte order mark", with_mark),
    Mutation("ends of lines", with_returns),
    Mutation("zero byte", with_zero, broken=True),
    Mutation("nested", nested),
    Mutation("long line", long_line),
    Mutation("delete line", line_deleted, harmless=FEWER_LINES),
    Mutation("double line", line_doubled),
    Mutation("swap lines", lines_swapped, harmless=OTHER_ORDER),
    Mutation("bad number", number_spoilt),
    Mutation("other number", number_replaced, harmless=OTHER_VALUE),
    Mutation("word", word_replaced, harmless=OTHER_VALUE),
)
SETTINGS = (
    *(mutation for mutation in TEXT if mutation.name != "bad number"),
    Mutation("bad number", setting_spoilt),
    Mutation("setting", setting_replaced, harmless=OTHER_VALUE),
)
LINES_OF_JSON = (*TEXT, *(Mutation("JSON", json_changed, harmless=OTHER_VALUE),) * 6)
