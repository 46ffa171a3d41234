"""What is right for a malformed input, and what is wrong with what a command did."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.cases import VOLATILE, Case
from tests.fuzz.hostile import LETTER, MODULE
from tests.fuzz.running import LIMIT_S, Outcome

CODES = frozenset({0, 1, 2, 3, 4})
MOST_REPEATED = 200  # characters of one piece of input in an error
MOST_MB = 512  # that a case may need beyond what was needed before
# One prints what a terminal obeys, and the one that begins with `\r` is of progress bars.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
NOISY = re.compile(r"clean|repeat|quiet|busy|noise|reference op")


@dataclass(frozen=True)
class Sound:
    """What a command did with the sound input.

    Args:
        result: what it printed and delivered, see `result_of`.
        err: what it printed on stderr.
    """

    result: str
    err: str


@dataclass(frozen=True)
class Finding:
    """Something wrong: in a word or two, and at length."""

    problem: str
    detail: str


def result_of(outcome: Outcome, folder: Path, delivers: tuple[str, ...]) -> str:
    """Return what a command printed and delivered, without what differs each time."""
    files = [folder / name for name in delivers]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "none" for file in files]
    if any(name.endswith("result.json") for name in delivers):  # it holds times
        hashes = [_plain(file.read_text()) if file.is_file() else "none" for file in files]
    return "\n".join([_plain(outcome.out.replace(str(folder), "FOLDER")), *hashes])


def _plain(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_without(value) if isinstance(value, dict) else value)


def _without(value: dict[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in value.items() if name not in VOLATILE}


def judge(case: Case, outcome: Outcome, sound: Sound) -> list[Finding]:
    """Return what is wrong with what a command did with a malformed input."""
    found = _of_process(case, outcome)
    if outcome.code is None:
        return found
    found += _of_code(case, outcome)
    found += _of_texts(case, outcome, sound)
    if outcome.code == 0 and not found and (silent := _is_silent(case, outcome, sound)):
        found.append(Finding("silently different", silent))
    return found


def outcome_word(case: Case, outcome: Outcome, sound: Sound, findings: list[Finding]) -> str:
    """Return how a case ended, for the table of counts."""
    if findings:
        return "finding"
    if outcome.code:
        return f"exit {outcome.code}"
    if case.target.measures or result_of(outcome, case.folder, case.target.delivers) == sound.result:
        return "same"
    return "warned" if _is_told(case, outcome, sound) else "harmless"


def _of_process(case: Case, outcome: Outcome) -> list[Finding]:
    found = []
    if outcome.raised:
        word = "too long" if "not done after" in outcome.raised[:40] else "raised"
        found.append(Finding(word, outcome.raised))
    if outcome.seconds > 2 * LIMIT_S and not outcome.raised:
        found.append(Finding("too long", f"{outcome.seconds:.0f} s"))
    if outcome.marked and not any(MODULE in word for word in case.argv):
        found.append(Finding("foreign module imported", "the module that only the input names was imported"))
    if places := [place for place in outcome.outside if not _is_named(place, case)]:
        found.append(Finding("written outside", ", ".join(places)))
    if outcome.grown_mb > MOST_MB:
        found.append(Finding("memory", f"it grew by {outcome.grown_mb} MB"))
    return found


def _is_named(place: str, case: Case) -> bool:
    """Tell whether a place lies where the command line says: what a file says counts for nothing."""
    words = {part for word in case.argv for part in (word, word.partition("=")[2]) if part} - set(case.target.argv)
    return any(place.startswith(os.path.abspath(case.folder / word)) for word in words)


def _of_code(case: Case, outcome: Outcome) -> list[Finding]:
    code, last = outcome.code, (outcome.err.rstrip("\n").split("\n") or [""])[-1]
    if "internal error" in outcome.err:
        return [Finding("internal error", last)]
    if code not in CODES:
        return [Finding(f"exit {code}", last)]
    if code == 4 and 4 in case.target.may and not NOISY.search(last):
        return [Finding("exit 4, not for noise", last)]
    if code == 4 and last.endswith("File name too long"):
        return []
    if code and code not in case.refused:
        return [Finding(f"exit {code}, not {' or '.join(map(str, sorted(case.refused)))}", last)]
    if code == 0 and case.never:
        return [Finding("accepted", f"{case.said}: exit 0")]
    return []


def _of_texts(case: Case, outcome: Outcome, sound: Sound) -> list[Finding]:
    found, new = [], _new_lines(outcome, sound)
    name = "run.py: " if case.target.script else "edgenas: "
    lines = outcome.err.rstrip("\n").split("\n")
    errors = [line for line in lines if line.startswith(name)]
    if "Traceback (most recent call last)" in outcome.err:
        found.append(Finding("traceback", outcome.err[-1500:]))
    is_told = outcome.code == 1 and outcome.out  # a budget that is missed stands in the result
    if outcome.code and not is_told and (len(errors) != 1 or lines[-1:] != errors):
        found.append(Finding("not one line of error", outcome.err[-1500:]))
    for line in new:
        repeated = max((len(piece) for piece in re.findall(rf"(?:{LETTER}[^A-Za-z]{{0,3}})+", line)), default=0)
        if repeated > MOST_REPEATED + 20 or len(line) > 2000:
            found.append(Finding("echo", f"{len(line)} characters, of which {repeated} of the input: {line[:300]}"))
            break
    for text, where in ((outcome.out, "stdout"), (outcome.err, "stderr")):
        if control := CONTROLS.search(text):
            found.append(Finding(f"control character on {where}", f"{control.group()!r} in {text[-300:]!r}"))
    return found


def _is_silent(case: Case, outcome: Outcome, sound: Sound) -> str:
    """Return how the result differs, if nothing says so and nothing makes it right; empty if all is well."""
    if case.harmless or case.target.measures:
        return ""
    result = result_of(outcome, case.folder, case.target.delivers)
    if result == sound.result or _is_told(case, outcome, sound):
        return ""
    return _difference(sound.result, result)


def _is_told(case: Case, outcome: Outcome, sound: Sound) -> bool:
    """Tell whether a new line of stderr, or of what is left out on stdout, names the file that was changed."""
    names = {Path(case.target.place).name, *re.findall(r"[\w-]+\.(?:\w+)", case.said)}
    sound_lines = set(sound.result.split("\n"))
    lines = [*_new_lines(outcome, sound), *(line for line in outcome.out.split("\n") if line not in sound_lines)]
    return any(name in line for name in names for line in lines)


def _new_lines(outcome: Outcome, sound: Sound) -> list[str]:
    """Return the lines of stderr that the sound input does not have; progress differs in its times alone."""
    known = {_timeless(line) for line in sound.err.split("\n")}
    return [line for line in outcome.err.split("\n") if line and _timeless(line) not in known]


def _timeless(line: str) -> str:
    return re.sub(r"[\d.]+ (s|min|h|GB)\b", "TIME", line)


def _difference(before: str, after: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    return f"{before[max(0, at - 40) : at + 60]!r} became {after[max(0, at - 40) : at + 60]!r}"
