"""Latency of random architectures of a trained network's space: predicted against measured, at several sizes.

    python -m tests.benchmarks.latency_pretrained --output runs/latency
    python -m tests.benchmarks.latency_pretrained --output runs/few --few --dry

By what `edgenas profile` measures (every op, random networks) and by what `edgenas kit` holds (250 ops, 60 networks),
with the networks that test both, all in one interleaved run of the kit's runner; then by `edgenas profile` alone. Each
step leaves its files in the output folder, and the same command goes on where it was broken off: the kit,
`results.jsonl` (rounds of every probe), tables by either way, `tests.csv` and `predictions.csv`. `--fit` predicts again
from the files that are there, and measures nothing. About 6 minutes on 2 quiet cores, and 4 more for the profile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.devices.ingest import fitted_and_tests, read_results
from edgenas.devices.kit import write_kit
from edgenas.devices.probes import Net, probes
from edgenas.graph.graph import Arch
from edgenas.latency.table import LatencyTable, NetRow, read_table, write_table
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.system.progress import Reporter, make_reporter
from edgenas.workflows.config import Config, make_config
from edgenas.workflows.kit_content import KitOptions, content
from edgenas.workflows.predict import Prediction, predict
from edgenas.workflows.pretrained import space_source
from edgenas.workflows.probes import space_probes
from edgenas.workflows.profile import PROFILE_NETS, profile
from tests.benchmarks._common import record

CLASSES = 10
SEEDS = {"profile": 0, "kit": 1, "tests": 2}


@dataclass(frozen=True)
class Plan:
    """What is measured: the network, the largest side, sides and number of the tests, and how much of either way."""

    network: str
    side: int = 224
    sides: tuple[int, ...] = (96, 160, 224)
    tests: int = 40
    nets: int = PROFILE_NETS
    kit: KitOptions | None = None

    @property
    def config(self) -> Config:
        return make_config({"pretrained": self.network})

    @property
    def space(self) -> SearchSpace:
        return build_space(space_source(self.config), (3, self.side, self.side), CLASSES)

    @property
    def kit_options(self) -> KitOptions:
        return self.kit or KitOptions((3, self.side, self.side), CLASSES, precisions=("fp32",))


def few(network: str) -> Plan:
    """A plan of seconds, that shows whether the script runs."""
    options = KitOptions((3, 64, 64), CLASSES, nets=8, tests=2, ops=60, precisions=("fp32",))
    return Plan(network, side=64, sides=(64,), tests=3, nets=8, kit=options)


@dataclass(frozen=True)
class Parts:
    """The codes of the networks of each part, and the keys of the kit's ops, as `parts.json` keeps them."""

    profile: list[str]
    kit: list[str]
    tests: dict[str, list[str]]
    ops: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder; what is there is not made again")
    parser.add_argument("--pretrained", default="efficientnet-lite0", help="the network (default: efficientnet-lite0)")
    parser.add_argument("--rounds", type=int, default=24, help="of every probe (default: 24)")
    parser.add_argument("--patience", type=int, default=3, help="times as many, at most, while figures repeat badly")
    parser.add_argument("--few", action="store_true", help="some ops and networks at 64 pixels")
    parser.add_argument("--fit", action="store_true", help="predict from the files that are there, measure nothing")
    parser.add_argument("--no-profile", action="store_true", help="leave out the profile in a run of its own")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    plan = few(arguments.pretrained) if arguments.few else Plan(arguments.pretrained)
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.fit:
        make_kit(plan, folder)
        measure(folder, arguments.rounds, arguments.patience)
        if not arguments.no_profile:
            own_profile(plan, folder, make_reporter(quiet=False))
    lines = compare(plan, folder)
    title = f"{plan.network}: predicted and measured latency of {plan.tests} random architectures a size"
    if arguments.dry:
        print("\n".join([title, *lines]))
    else:
        record(title, lines)


def make_kit(plan: Plan, folder: Path) -> None:
    """Write and unpack one kit of all that is measured, and `parts.json`, which says what is for what."""
    if (folder / "parts.json").exists():
        return
    space, rng = plan.space, np.random.default_rng(SEEDS["profile"])
    nodes, nets = space_probes(space, plan.nets, rng)
    of_kit = content(
        plan.config, plan.kit_options, plan.kit_options.built(plan.config), np.random.default_rng(SEEDS["kit"])
    )
    every = dict.fromkeys(arch for _, arch in (*nets, *of_kit.nets, *of_kit.tests))
    tests = {str(side): drawn(space, side, plan.tests, every) for side in plan.sides}
    tested = dict.fromkeys(arch for archs in tests.values() for arch in archs)
    probing = probes(nodes, of_space(space, every), of_space(space, tested), ("fp32",), rng, repeated=True)
    write_kit(folder / "kit.zip", probing, {"general": False, "seed": 0, "space": space.spec, "only": {}}, {})
    with zipfile.ZipFile(folder / "kit.zip") as archive:
        archive.extractall(folder / "kit")
    parts = Parts(
        [space.code(arch) for _, arch in nets],
        [space.code(arch) for _, arch in (*of_kit.nets, *of_kit.tests)],
        {side: [space.code(arch) for arch in archs] for side, archs in tests.items()},
        [node.key for node in of_kit.nodes],
    )
    (folder / "parts.json").write_text(json.dumps(vars(parts), indent=1))


def drawn(space: SearchSpace, side: int, count: int, fitted: Collection[Arch]) -> list[Arch]:
    """Random architectures of one resolution, none of those that a correction is fitted on."""
    resolution = next(choice for choice in space.choices if choice.name == "resolution")
    at_side = space.preferred.restrict({"resolution": [resolution.options.index(side)]})
    rng = np.random.default_rng((SEEDS["tests"], side))
    archs = dict.fromkeys(sample(at_side, rng) for _ in range(10 * count))
    return [arch for arch in archs if arch not in fitted][:count]


def of_space(space: SearchSpace, archs: Iterable[Arch]) -> list[Net]:
    return [(space, arch) for arch in archs]


def measure(folder: Path, rounds: int, patience: int) -> None:
    """Run the kit here, or go on with it; minutes of it are kept for the report."""
    started = time.monotonic()
    command = [sys.executable, "run.py", "--name", "here", "--out", str((folder / "results.jsonl").resolve())]
    command += ["--rounds", str(rounds), "--patience", str(patience)]
    subprocess.run(command, cwd=folder / "kit", check=True)
    add_minutes(folder, "interleaved run", started)


def own_profile(plan: Plan, folder: Path, reporter: Reporter) -> None:
    """Measure the same space by `edgenas profile`, into a table of its own."""
    path, started = folder / "profile.csv", time.monotonic()
    if not path.exists():
        shape = (3, plan.side, plan.side)
        profile(plan.config, reporter, shape=shape, classes=CLASSES, out=path)
        add_minutes(folder, "profile", started)


def add_minutes(folder: Path, step: str, started: float) -> None:
    """Add the minutes since `started` to those that a step took before it was broken off."""
    path = folder / "minutes.json"
    minutes = json.loads(path.read_text()) if path.exists() else {}
    minutes[step] = minutes.get(step, 0.0) + (time.monotonic() - started) / 60
    path.write_text(json.dumps(minutes))


def compare(plan: Plan, folder: Path) -> list[str]:
    """The table of errors, a line for each way and size, and what was measured how long."""
    parts = Parts(**json.loads((folder / "parts.json").read_text()))
    ((whole, tests),) = fitted_and_tests(read_results(folder / "results.jsonl"))
    nets = {net.code: net for net in whole.nets}
    write_table(folder / "tests.csv", LatencyTable(whole.header, {}, tuple(tests)))
    # On a busy machine a probe may have no clean sample, and is then no row.
    by_kit = {key: whole.ops[key] for key in parts.ops if key in whole.ops}
    of_host, of_kit = ([nets[code] for code in codes if code in nets] for codes in (parts.profile, parts.kit))
    ways = {
        f"profile, {len(whole.ops)} ops": save(folder, "host", whole, whole.ops, of_host),
        f"kit, {len(by_kit)} ops": save(folder, "board", whole, by_kit, of_kit),
    }
    if (folder / "profile.csv").exists():
        ways["profile, its own run"] = folder / "profile.csv"
    measured, tested = {net.code: net.ms for net in tests}, parts.tests.items()
    lines = [
        "| by | networks | pixels | mean error | within 5 % | within 10 % | bias | in the 90 % interval | estimated |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    predictions = ["by,pixels,arch,measured_ms,predicted_ms,low_ms,high_ms,estimated_share"]
    for way, table in ways.items():
        found = {side: predicted(plan, table, [code for code in codes if code in measured]) for side, codes in tested}
        rows = {**found, "all": [row for part in found.values() for row in part]}
        lines += [line(way, len(read_table(table).nets), side, part, measured) for side, part in rows.items()]
        predictions += [
            f'"{way}",{side},{r.arch},{measured[r.arch]:.6f},{r.latency_ms:.6f},{r.low_ms:.6f},{r.high_ms:.6f},'
            f"{r.estimated_share:.3f}"
            for side, part in found.items()
            for r in part
        ]
    (folder / "predictions.csv").write_text("\n".join(predictions) + "\n")
    minutes = json.loads((folder / "minutes.json").read_text())
    took = ", ".join(f"{step} {value:.1f} min" for step, value in minutes.items())
    return [*lines, "", f"repeat error {float(whole.header['repeat_error']):.1%}; {took}"]


def save(folder: Path, name: str, whole: LatencyTable, ops: dict, nets: Sequence[NetRow]) -> Path:
    """Write the part of what was measured that one way has measured; its path."""
    path = folder / f"{name}.csv"
    write_table(path, LatencyTable(whole.header, ops, tuple(nets)))
    return path


def predicted(plan: Plan, table: Path, codes: Sequence[str]) -> list[Prediction]:
    """What `edgenas predict --estimate-missing` says."""
    return list(predict(plan.config, plan.space, archs=codes, table=table, estimate_missing=True))


def line(way: str, nets: int, side: str, rows: Sequence[Prediction], measured: dict[str, float]) -> str:
    """One line of the table."""
    ms = np.array([measured[row.arch] for row in rows])
    errors = np.array([row.latency_ms for row in rows]) / ms - 1
    held = np.mean([row.low_ms <= t <= row.high_ms for row, t in zip(rows, ms, strict=True)])
    within = [np.mean(np.abs(errors) <= most) for most in (0.05, 0.10)]
    share = np.mean([row.estimated_share for row in rows])
    cells = [f"{np.abs(errors).mean():.1%}", *(f"{x:.0%}" for x in within), f"{errors.mean():+.1%}", f"{held:.0%}"]
    return f"| {way} | {nets} | {side} | {' | '.join(cells)} | {share:.0%} |"


if __name__ == "__main__":
    main()
