"""Measure a kit's probes on this device, into one results file that survives a reboot in the middle.

    python run.py [--threads 1] [--precision fp32] [--out results.jsonl]

Standard library, numpy and onnxruntime only, in Python 3.9's syntax: this file runs on devices. Results are JSON lines:
a header (the kit's manifest without its files, and everything that decides a number here), then one line per probe and
round, which the file calls a slot. Lines are written round by round: what is on disk after a power cut is whole rounds,
and the rest is measured when the runner is started again.
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
from collections.abc import Collection
from pathlib import Path
from typing import Any, TextIO

from edgenas.devices.progress_line import ProgressLine
from edgenas.errors import DataError, EdgeNASError, EnvironmentFault, NoisyMachine, UsageError
from edgenas.runtimes import host, summary, timing
from edgenas.runtimes import onnxruntime as runtime

MANIFEST = "manifest.json"
# 24 rounds in 3 sessions of a probe are 8 of each, 12 even and 12 odd ones; noisy figures get up to 3 times as many.
ROUNDS, PATIENCE = 24, 3
# How the message of a NoisyMachine reads, for whoever only sees stderr.
NOISY = "of the timing samples were clean"
# A busy device is waited for, longer each time, before the runner gives up.
PAUSES_S = (2.0, 10.0, 60.0)
# What must be the same for figures to stand in one table; clocks and temperatures drift and are only recorded.
CONDITIONS = ("device", "processor", "runtime", "version", "engine", "provider", "optimisation", "threads")
# What a session takes: by itself, and times the size of its file (the file's bytes, weights, and weights packed anew).
SESSION_BYTES, FILE_TIMES = 4_000_000, 4

Json = dict[str, Any]  # manifests, headers and rows of results, as the files hold them
Measured = dict[int, dict[int, float]]  # ms by round and probe; nan where there is no figure


def kit_hash(manifest: Json) -> str:
    """Return the SHA-256 of everything in a manifest but the hash itself; the probes' own hashes are in it."""
    content = {name: value for name, value in manifest.items() if name != "kit"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main(kit: Path, arguments: list[str] | None = None) -> int:
    """Run the command `run.py` of the kit in folder `kit`; return the exit code."""
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
    # `known` names the source devices of a reduced kit, whose results only make sense together with their tables.
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
    text = f"rounds of every probe (default: the kit's, or {ROUNDS})"
    parser.add_argument("--rounds", "--slots", type=int, metavar="N", help=text)
    text = f"how often as many rounds are taken, at most, while figures repeat badly (default: {PATIENCE})"
    parser.add_argument("--patience", type=int, default=PATIENCE, help=text)
    return parser.parse_args(arguments)


def measure(kit: Path, options: argparse.Namespace, log: TextIO) -> Path:
    """Measure what the results file lacks, and return its path.

    Args:
        kit: the folder that the kit was unpacked to.
        options: what `run.py --help` lists.
        log: where progress and advice are written.

    Raises:
        DataError: the kit, or what the file holds, is damaged.
        EnvironmentFault: the file cannot be written.
        UsageError: the file belongs to another device or kit.
        NoisyMachine: a round had under 20 % of clean samples again and again; what was measured before stays.
    """
    manifest = _manifest(kit)
    rounds = options.rounds or int(manifest.get("slots", ROUNDS))
    header = _header(manifest, options) | {"rounds": rounds}
    out = options.out or Path(f"results-{header['device']}-{header['threads']}t.jsonl")
    chosen = [i for i, probe in enumerate(manifest["probes"]) if _wanted(probe, options.precision)]
    try:
        measured = _read_measured(out, manifest["kit"], header)
        with out.open("a", encoding="utf-8") as file:
            if not file.tell():
                _append(file, [{"kit": manifest["kit"], "header": header, "manifest": manifest}])
            work = _Work(kit, manifest["probes"], header["threads"], file, measured)
            for first in range(0, options.patience * rounds, rounds):
                work.measure_rounds(chosen, range(first, first + rounds), log)
                if _repeat_error(measured) <= summary.MAX_REPEAT_ERROR:
                    break
    except OSError as error:
        raise EnvironmentFault(f"{out}: cannot be written ({error.strerror}); give another with --out") from error
    repeats = _repeat_error(measured)
    if repeats > summary.MAX_REPEAT_ERROR:
        log.write(
            f"figures repeat within {repeats:.1%} only; 4% or less is good. On a quieter device measure again, with "
            "another --out, or take more rounds: --patience 9\n"
        )
    return out


def _repeat_error(measured: Measured) -> float:
    """Return the error within which nine probes of ten repeat."""
    timings = summary.summarise_rounds([measured[number] for number in sorted(measured)], 0)
    finite = {str(i): timing for i, timing in timings.items() if not math.isnan(timing.ms)}
    return summary.repeat_error_of_table(finite) if finite else 0.0


class _Work:
    """What is measured, on how many threads, into which file; `measured` is what that file holds."""

    def __init__(self, kit: Path, probes: list[Json], threads: int, file: TextIO, measured: Measured) -> None:
        self.kit, self.probes, self.threads, self.file, self.measured = kit, probes, threads, file, measured
        self.progress = ProgressLine(sys.stderr, 0, 0)
        self.sessions: dict[int, runtime.OnnxruntimeSession] = {}

    def measure_rounds(self, chosen: list[int], rounds: range, log: TextIO) -> None:
        """Measure what these rounds lack of the chosen probes, in several sessions of each.

        Probes that do not fit in memory together get rounds of their own, each with the reference.
        """
        files = [(self.kit / self.probes[i]["file"]).stat().st_size for i in chosen]
        count = math.ceil(sum(SESSION_BYTES + FILE_TIMES * size for size in files) / _usable_bytes())
        parts = [sorted({*chosen[:1], *chosen[part::count]}) for part in range(count)]

        def due(n: int, part: int) -> list[int]:
            return [i for i in parts[part] if i not in self.measured.get(n * count + part, {})]

        left = sum(len(due(n, part)) for n in rounds for part in range(count))
        self.progress = ProgressLine(log, sum(map(len, parts)) * rounds.stop, left)
        per_session = -(-len(rounds) // timing.SESSIONS)
        for session in range(timing.SESSIONS):
            own = rounds[session * per_session : (session + 1) * per_session]
            for part in range(count):
                self.measure(session, {n * count + part: due(n, part) for n in own})

    def measure(self, session: int, due: dict[int, list[int]]) -> None:
        """Open one session of each probe that is due, and time it in these rounds, each in random order."""
        for i in sorted({i for these in due.values() for i in these}):
            self._open(i, due)
        for number, these in due.items():
            order = [i for i in these if i in self.sessions]
            # Seeded by the round: started again after a reboot, the order of a round is the same.
            random.Random(number).shuffle(order)
            rows = self._clean_round(order)
            _append(self.file, [{"probe": i, "session": session, "slot": number, **row} for i, row in rows.items()])
            self.measured.setdefault(number, {}).update((i, _figure(row)) for i, row in rows.items())
        while self.sessions:
            self.sessions.popitem()[1].close()

    def _open(self, i: int, rounds: Collection[int]) -> None:
        """Open a session and warm it up; a probe that this device cannot run is noted as done in these rounds."""
        self.progress.show("opening")
        try:
            session = runtime.open(self.kit / self.probes[i]["file"], self.threads)
            timing.warm_up(session)
        except DataError as error:
            _append(self.file, [{"probe": i, "slot": number, "error": str(error)[:300]} for number in rounds])
            for number in rounds:
                self.measured.setdefault(number, {})[i] = math.nan
            self.progress.step(len(rounds))
        else:
            self.sessions[i] = session

    def _clean_round(self, order: list[int]) -> dict[int, Json]:
        """Time one round of each; take it again after a pause while the device is too busy to tell."""
        share = 1.0
        for pause_s in (0.0, *PAUSES_S):
            if pause_s:
                self.progress.show(f"only {share:.0%} of the samples were clean; waiting {pause_s:.0f} s")
                time.sleep(pause_s)
            rows = {i: self._time(i) for i in order}
            share = sum(row["clean_share"] for row in rows.values()) / max(1, len(rows))
            if not rows or share >= timing.MIN_CLEAN_SHARE:
                return rows
            self.progress.step(-len(rows))
        raise NoisyMachine(f"only {share:.0%} {NOISY}; close other programs and start again")

    def _time(self, i: int) -> Json:
        figure = self.sessions[i].rounds(1, timing.ROUND_MS)[0]
        self.progress.step(1)
        ms = None if math.isnan(figure) else float(figure)
        return {"ms": ms, "runs": figure.runs, "clean_share": round(figure.clean_share, 4)}


def _manifest(kit: Path) -> Json:
    """Read the kit's manifest, and check every probe's file against its hash."""
    try:
        manifest = json.loads((kit / MANIFEST).read_text(encoding="utf-8"))
        damaged = [
            probe["file"]
            for probe in manifest["probes"]
            if hashlib.sha256((kit / probe["file"]).read_bytes()).hexdigest() != probe["sha256"]
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{kit}: not a whole device kit ({error}); unpack it again") from error
    if damaged or kit_hash(manifest) != manifest["kit"]:
        raise DataError(f"{kit}: {', '.join(damaged[:1]) or MANIFEST} is damaged; unpack the kit again")
    return dict(manifest)


def _header(manifest: Json, options: argparse.Namespace) -> Json:
    """Collect everything that decides a number."""
    return {
        "unit": "ms",
        "device": options.name or host.host_name(),
        **runtime.host(options.threads),
        "protocol": timing.PROTOCOL,
        "date": time.strftime("%Y-%m-%d"),
        "kit": manifest["kit"],
    }


def _usable_bytes() -> float:
    """Return the memory that sessions may take together: a third of the device's."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 3
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 1e9


def _wanted(probe: Json, precision: str) -> bool:
    return precision in ("all", probe["precision"]) or probe["kind"] == "reference"


def _read_measured(out: Path, kit: str, header: Json) -> Measured:
    """Read what the file holds; a torn last line is cut off."""
    if not out.exists() or not out.stat().st_size:
        return {}
    content = out.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        out.write_bytes(whole)
    try:
        begun, *lines = [json.loads(line) for line in whole.splitlines()] or [{}]
        known, conditions = begun.get("kit"), {name: begun.get("header", {}).get(name) for name in CONDITIONS}
        measured: Measured = {}
        for line in lines:
            measured.setdefault(line["slot"], {})[line["probe"]] = _figure(line)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{out}: not results of a kit, or damaged ({error}); give another file with --out") from error
    if known != kit:
        raise UsageError(f"{out}: results of another kit; give another file with --out")
    for name, before in conditions.items():
        if before != (now := header.get(name)):
            raise UsageError(f"{out}: begun with {name} {before}, this is {now}; give another file with --out")
    return measured


def _figure(row: Json) -> float:
    """Return a row's figure; nan if it had no clean sample, or the probe does not run here."""
    return math.nan if row.get("ms") is None else float(row["ms"])


def _append(file: TextIO, rows: list[Json]) -> None:
    """Write whole lines, which are on disk before this returns."""
    file.write("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
    file.flush()
    os.fsync(file.fileno())
