"""Measure a kit's probes on this device, into one results file that survives a reboot in the middle.

    python run.py [--threads 1] [--precision fp32] [--out results.jsonl]

Standard library, numpy and onnxruntime only, in Python 3.9's syntax: this file runs on devices. Results are JSON lines:
a header (the kit's manifest without its files, and everything that decides a number here), then one line per probe,
session and round, written slot by slot: what is on disk after a power cut is whole slots, and the rest is measured when
it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from edgenas.errors import DataError, EdgeNASError, EnvironmentFault, NoisyMachine, UsageError
from edgenas.runtimes import host, timing
from edgenas.runtimes import onnxruntime as runtime

MANIFEST = "manifest.json"
SLOTS, PATIENCE = 24, 3
NOISY = "of the timing samples were clean"  # how a NoisyMachine reads, for whom only sees stderr
PAUSES_S = (2.0, 10.0, 60.0)
# What must be the same for figures to stand in one table; clocks and temperatures drift and are only recorded.
CONDITIONS = ("device", "processor", "runtime", "version", "engine", "provider", "optimisation", "threads")


def kit_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 over everything in a manifest but the hash itself; the probes' own hashes are in it."""
    content = {name: value for name, value in manifest.items() if name != "kit"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main(kit: Path, arguments: list[str] | None = None) -> int:
    """The command `run.py` of the kit in folder `kit`; returns the exit code."""
    options = _arguments(arguments)
    try:
        out = measure(kit, options, sys.stderr)
    except EdgeNASError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nrun.py: stopped; start it again to go on", file=sys.stderr)
        return 130
    manifest = _manifest(kit)
    command = "adapt" if "known" in manifest else "ingest"
    bundle = " --bundle RUN" if manifest.get("bundle") else ""
    print(f"{out}\nnow, where edgenas is installed: edgenas {command} {out.name}{bundle}")
    return 0


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description="Measure this kit's probes on this device.")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime (default: 1)")
    parser.add_argument("--precision", choices=("all", "fp32", "int8"), default="all", help="which probes")
    parser.add_argument("--name", help="name of the device in tables (default: the processor, and a hash of which one)")
    parser.add_argument("--out", type=Path, help="results file (default: results-<device>-<threads>t.jsonl)")
    parser.add_argument("--slots", type=int, help=f"rounds of every probe (default: the kit's, or {SLOTS})")
    text = f"how often as many rounds are taken, at most, while figures repeat badly (default: {PATIENCE})"
    parser.add_argument("--patience", type=int, default=PATIENCE, help=text)
    return parser.parse_args(arguments)


def measure(kit: Path, options: argparse.Namespace, log: TextIO) -> Path:
    """Measure what the results file lacks.

    Raises:
        EnvironmentFault: the kit is damaged, or the file cannot be written.
        UsageError: the file belongs to another device or kit.
        NoisyMachine: a slot had under 20 % of clean samples again and again; what was measured before stays.
    """
    manifest = _manifest(kit)
    header = _header(manifest, options)
    out = options.out or Path(f"results-{header['device']}-{header['threads']}t.jsonl")
    rounds = _rounds(out, manifest["kit"], header)
    slots = options.slots or manifest.get("slots", SLOTS)
    chosen = [i for i, probe in enumerate(manifest["probes"]) if _wanted(probe, options.precision)]
    try:
        with out.open("a", encoding="utf-8") as file:
            if not file.tell():
                _append(file, [{"kit": manifest["kit"], "header": header, "manifest": manifest}])
            work = _Work(kit, manifest["probes"], header["threads"], file, rounds)
            for first in range(0, options.patience * slots, slots):
                work.measure_slots(chosen, range(first, first + slots), log)
                if _repeat_error(rounds) <= timing.MAX_REPEAT_ERROR:
                    break
    except OSError as error:
        raise EnvironmentFault(f"{out}: cannot be written ({error.strerror}); give another with --out") from error
    repeats = _repeat_error(rounds)
    if repeats > timing.MAX_REPEAT_ERROR:
        log.write(
            f"figures repeat within {repeats:.1%} only; 4% or less is good. On a quieter device measure anew, with "
            "another --out, or take more rounds: --patience 9\n"
        )
    return out


_Rounds = dict[int, dict[int, float]]  # by slot and probe


def _repeat_error(rounds: _Rounds) -> float:
    """Nine probes of ten repeat within it."""
    timings = timing.summarise_slots([rounds[slot] for slot in sorted(rounds)], 0)
    run = {str(i): timing for i, timing in timings.items() if not math.isnan(timing.ms)}
    return timing.repeat_error_of_table(run) if run else 0.0


class _Work:
    """What is measured, on how many threads, into which file; `rounds` are those that it holds."""

    def __init__(self, kit: Path, probes: list[dict[str, Any]], threads: int, file: TextIO, rounds: _Rounds) -> None:
        """Of the kit in folder `kit`."""
        self.kit, self.probes, self.threads, self.file, self.rounds = kit, probes, threads, file, rounds
        self.progress = Progress(sys.stderr, 0, 0)
        self.sessions: dict[int, Any] = {}

    def measure_slots(self, chosen: list[int], slots: range, log: TextIO) -> None:
        """What these slots lack of the chosen probes, in several sessions of each."""
        due = [[i for i in chosen if i not in self.rounds.get(slot, {})] for slot in slots]
        self.progress = Progress(log, len(chosen) * slots.stop, sum(map(len, due)))
        per_session = -(-len(slots) // timing.SESSIONS)
        for session in range(timing.SESSIONS):
            part = slice(session * per_session, (session + 1) * per_session)
            self.measure(session, due[part], slots.start + part.start)

    def measure(self, session: int, due: list[list[int]], first_slot: int) -> None:
        """One session of each probe that these slots lack, and their rounds in random order."""
        needed = {i for slot in due for i in slot}
        for i in sorted(needed):
            self._open(i, range(first_slot, first_slot + len(due)))
        for slot, these in enumerate(due, start=first_slot):
            order = [i for i in these if i in self.sessions]
            random.Random(slot).shuffle(order)
            rows = self._clean_slot(order)
            _append(self.file, [{"probe": i, "session": session, "slot": slot, **row} for i, row in rows.items()])
            self.rounds.setdefault(slot, {}).update((i, _figure(row)) for i, row in rows.items())
        while self.sessions:
            self.sessions.popitem()[1].close()

    def _open(self, i: int, slots: range) -> None:
        """A session that is warm; a probe that this device cannot run is noted as done."""
        self.progress.say("opening")
        try:
            session = runtime.open(self.kit / self.probes[i]["file"], self.threads)
            timing.warm_up(session)
        except DataError as error:
            _append(self.file, [{"probe": i, "slot": slot, "error": str(error)[:300]} for slot in slots])
            for slot in slots:
                self.rounds.setdefault(slot, {})[i] = math.nan
            self.progress.step(len(slots))
        else:
            self.sessions[i] = session

    def _clean_slot(self, order: list[int]) -> dict[int, dict[str, Any]]:
        """One round of each; taken again after a pause while the machine is too busy to tell."""
        share = 1.0
        for pause_s in PAUSES_S:
            rows = {i: self._round(i) for i in order}
            share = sum(row["clean_share"] for row in rows.values()) / max(1, len(rows))
            if not rows or share >= timing.MIN_CLEAN_SHARE:
                return rows
            self.progress.step(-len(rows))
            self.progress.say(f"only {share:.0%} of the samples were clean; waiting {pause_s:.0f} s")
            time.sleep(pause_s)
        raise NoisyMachine(f"only {share:.0%} {NOISY}; close other programs and start again")

    def _round(self, i: int) -> dict[str, Any]:
        figure = self.sessions[i].rounds(1, timing.ROUND_MS)[0]
        self.progress.step(1)
        ms = None if math.isnan(figure) else float(figure)
        return {"ms": ms, "runs": figure.runs, "clean_share": round(figure.clean_share, 4)}


def _manifest(kit: Path) -> dict[str, Any]:
    """The kit's manifest; every probe's file is checked against its hash."""
    try:
        manifest = json.loads((kit / MANIFEST).read_text(encoding="utf-8"))
        damaged = [
            probe["file"]
            for probe in manifest["probes"]
            if hashlib.sha256((kit / probe["file"]).read_bytes()).hexdigest() != probe["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{kit}: not a whole device kit ({error}); unpack it again") from error
    if damaged or kit_hash(manifest) != manifest["kit"]:
        raise EnvironmentFault(f"{kit}: {', '.join(damaged[:1]) or MANIFEST} is damaged; unpack the kit again")
    return dict(manifest)


def _header(manifest: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Everything that decides a number."""
    facts: dict[str, Any] = runtime.host(options.threads)
    return {
        "unit": "ms",
        "device": options.name or host.host_name(),
        **facts,
        "protocol": timing.PROTOCOL,
        "date": time.strftime("%Y-%m-%d"),
        "kit": manifest["kit"],
    }


def _wanted(probe: dict[str, Any], precision: str) -> bool:
    return precision in ("all", probe["precision"]) or probe["kind"] == "reference"


def _rounds(out: Path, kit: str, header: dict[str, Any]) -> _Rounds:
    """What the file holds; a torn last line is cut off."""
    if not out.exists() or not out.stat().st_size:
        return {}
    content = out.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        out.write_bytes(whole)
    lines = [json.loads(line) for line in whole.splitlines()]
    if not lines or lines[0].get("kit") != kit:
        raise UsageError(f"{out}: results of another kit; give another file with --out")
    for name in CONDITIONS:
        before, now = lines[0]["header"].get(name), header.get(name)
        if before != now:
            raise UsageError(f"{out}: begun with {name} {before}, this is {now}; give another file with --out")
    rounds: _Rounds = {}
    for line in lines[1:]:
        rounds.setdefault(line["slot"], {})[line["probe"]] = _figure(line)
    return rounds


def _figure(row: dict[str, Any]) -> float:
    """A round's figure; nan if it had no clean sample, or the probe does not run here."""
    return math.nan if row.get("ms") is None else float(row["ms"])


def _append(file: TextIO, rows: list[dict[str, Any]]) -> None:
    """Whole lines, on disk before this returns."""
    file.write("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
    file.flush()
    os.fsync(file.fileno())


class Progress:
    """Rounds done and time left, a line that is rewritten; plain lines, far between, where no terminal is."""

    def __init__(self, log: TextIO, total: int, left: int) -> None:
        """`left` of `total` rounds are to be measured."""
        self.log, self.total, self.left, self.done = log, total, left, 0
        self.started = time.monotonic()
        self.shown = 0.0

    def step(self, rounds: int) -> None:
        """So many rounds more; fewer if they are to be taken again."""
        self.done += rounds
        self.say("")

    def say(self, text: str) -> None:
        """Show how far it is, with a remark."""
        now = time.monotonic()
        interactive = self.log.isatty()
        if now - self.shown < (0.2 if interactive else 15.0) and self.done < self.left:
            return
        self.shown = now
        finished = self.total - self.left + self.done
        rest = (now - self.started) / self.done * (self.left - self.done) if self.done else 0
        left = f", {rest / 60:.0f} min {rest % 60:02.0f} s left" if self.done else ""
        line = f"{finished} of {self.total} rounds ({finished / max(1, self.total):.0%}){left} {text}"
        self.log.write(f"\r{line:<79}" if interactive else line + "\n")
        if interactive and finished == self.total:
            self.log.write("\n")
        self.log.flush()
