"""Time ONNX files: several at once, in the same rounds, so that their ratios hold on a machine that is never quiet."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgenas.errors import DataError, NoisyMachine
from edgenas.runtimes.base import Port, Ports, Runtime, Session
from edgenas.runtimes.gaps import measure_in_gaps
from edgenas.runtimes.model_file import read_model
from edgenas.runtimes.reference import NAME, reference_model
from edgenas.runtimes.summary import MAX_REPEAT_ERROR, Timing
from edgenas.runtimes.timing import ATTEMPTS, TooNoisy, measure
from edgenas.system import plugins
from edgenas.system.records import Json
from edgenas.system.subprocesses import Progress, Send, run_worker, serve_request

# Longer rounds than a table's, as whole networks take longer than single ops.
ROUND_MS = 10.0


@dataclass(frozen=True)
class Bench:
    """How fast one model is here.

    `model` is the file's name without its folder; `threads` is what was really used; `reference_ms` is the time of the
    reference op meanwhile, which tells how busy the machine was. `clean` is false where the machine was never quiet and
    disturbed samples count; `met_budget` is that of a bundle's model, None of any other file.
    """

    model: str
    ms: float
    p90_ms: float
    repeat_error: float
    runs: int
    clean_share: float
    reference_ms: float
    threads: int
    runtime: str
    version: str
    input: Port
    outputs: tuple[Port, ...]
    clean: bool = True
    met_budget: bool | None = None


def bench(
    models: Sequence[Path],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
    sessions: int = 3,
    max_repeat_error: float = MAX_REPEAT_ERROR,
    tries: int = 3,
    attempts: int = ATTEMPTS,
    wait_s: float | None = None,
    progress: Progress | None = None,
    opening: Callable[[Path], None] | None = None,
) -> list[Bench]:
    """Time models in this process; for files that somebody else made use `bench_in_fresh_process`.

    Args:
        models: ONNX files, each whole in one file.
        threads: the most that the runtime may use.
        runtime: the plugin that runs them, such as `onnxruntime`.
        seconds: about how long each model is timed.
        sessions: how often each model is loaded, as its place in memory moves its time.
        max_repeat_error: models that repeat worse are timed again; the try that repeats best is kept, so look at
            `repeat_error`.
        tries: how often a model is timed at most.
        attempts: how often a try is measured before the machine counts as too busy, as in `measure`.
        wait_s: on a busy machine, seconds to measure in its gaps; after them disturbed samples count. None refuses it.
        progress: called with the rounds done and due; it begins again with each try.
        opening: called before each file is loaded.

    Raises:
        DataError: a file is not a single-file ONNX model that the runtime can load and run.
        UnknownName: there is no such runtime.
        UsageError: `threads` is below 1.
        NoisyMachine: too few clean samples.
    """
    # A module with these functions, as the contract tests check; mypy cannot see through the import by name.
    plugin = cast(Runtime, plugins.load("runtimes", runtime))
    with ExitStack() as stack:
        items: dict[str, list[Session]] = {}
        ports: list[Ports] = []
        for number, path in enumerate(models):
            if opening:
                opening(path)
            content = read_model(path)
            try:
                opened = [_open(plugin, content, threads, stack) for _ in range(sessions)]
                ports.append(opened[0].describe())
                items[str(number)] = opened
            except DataError as error:
                raise DataError(f"{path}: {error}") from error
        reference = _open(plugin, reference_model(), threads, stack)
        if wait_s is None:
            timings = _repeatable(items, reference, seconds, max_repeat_error, tries, attempts, progress)
        else:
            timings = _in_gaps(items, reference, seconds, wait_s)
    used = int(plugin.host(threads)["threads"])  # fewer than asked for where there are fewer cores
    return [
        Bench(
            model=path.name,
            reference_ms=timings[str(number)][1],
            threads=used,
            runtime=runtime,
            version=plugin.version(),
            input=ports[number].inputs[0],
            outputs=ports[number].outputs,
            **asdict(timings[str(number)][0]),
        )
        for number, path in enumerate(models)
    ]


def bench_in_fresh_process(
    models: Sequence[Path],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
    sessions: int = 3,
    max_repeat_error: float = MAX_REPEAT_ERROR,
    tries: int = 3,
    attempts: int = ATTEMPTS,
    wait_s: float | None = None,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> list[Bench]:
    """Time models as `bench` does, in a process of its own: nothing is loaded there yet, and a crash is an error here.

    Args:
        models: ONNX files, each whole in one file; this and what is not named here is as in `bench`.
        timeout_s: the longest that it may take; by default a minute and twenty times what it should take.

    Raises:
        EnvironmentFault: the process ran out of time, or could not work.
        DataError: as `bench`, or a model crashes the process.
        OwnCode: the runtime is not of edgenas, and only data have named it.
        UnknownName, UsageError, NoisyMachine: as `bench`.
    """
    plugins.check("runtimes", runtime)
    plugins.check_named("runtimes", runtime)
    request = {
        "models": [os.fspath(path) for path in models],
        "threads": threads,
        "runtime": runtime,
        "seconds": seconds,
        "sessions": sessions,
        "max_repeat_error": max_repeat_error,
        "tries": tries,
        "attempts": attempts,
        "wait_s": wait_s,
    }
    limit_s = 60 + 20 * seconds * tries * len(models) + (wait_s or 0.0) if timeout_s is None else timeout_s
    reply = run_worker("edgenas.runtimes.bench", request, limit_s=limit_s, done="timed", progress=progress)
    return [_from_json(fields) for fields in reply["benches"]]


def _open(plugin: Runtime, content: bytes, threads: int, stack: ExitStack) -> Session:
    """Open a session that runs, closed with `stack`."""
    session = plugin.open(content, threads)
    stack.callback(session.close)
    if not session.describe().inputs:
        raise DataError("the model has no input; there is nothing to time it on")
    session.run()  # a model that loads may fail to run, which is to be told before anything is timed
    return session


def _repeatable(
    items: Mapping[str, Sequence[Session]],
    reference: Session,
    seconds: float,
    max_repeat_error: float,
    tries: int,
    attempts: int,
    progress: Progress | None,
) -> dict[str, tuple[Timing, float]]:
    """Return the best of up to `tries` timings of each item, with the reference's ms in the same try.

    Noise ends the tries, and is an error only in the first.
    """
    rng = np.random.default_rng(0)  # it only orders the rounds
    best: dict[str, tuple[Timing, float]] = {}
    due = list(items)
    for _ in range(tries):
        try:
            timings = measure(
                {name: items[name] for name in due} | {NAME: [reference]},
                rounds=math.ceil(seconds * 1000 / ROUND_MS),
                round_ms=ROUND_MS,
                rng=rng,
                reference=NAME,
                seconds=seconds * (len(due) + 1),  # the reference is one more item
                attempts=attempts,
                progress=progress,
            )
        except TooNoisy as error:
            if not best:
                raise NoisyMachine(str(error)) from error
            break
        for name in due:
            found = timings[name], timings[NAME].ms
            # By the repeat error, not by the time: the fastest try would be the luckiest.
            best[name] = min(best.get(name, found), found, key=lambda pair: pair[0].repeat_error)
        due = [name for name in due if best[name][0].repeat_error > max_repeat_error]
        if not due:
            break
    return best


def _in_gaps(
    items: Mapping[str, Sequence[Session]], reference: Session, seconds: float, wait_s: float
) -> dict[str, tuple[Timing, float]]:
    """Return timings as `_repeatable` does, on a machine that is known to be busy."""
    try:
        timings = measure_in_gaps(
            {**items, NAME: [reference]},
            rounds=math.ceil(seconds * 1000 / ROUND_MS),
            round_ms=ROUND_MS,
            rng=np.random.default_rng(0),
            seconds=wait_s,
        )
    except TooNoisy as error:
        raise NoisyMachine(str(error)) from error
    return {name: (timings[name], timings[NAME].ms) for name in items}


def _from_json(fields: Mapping[str, Any]) -> Bench:
    ports = [Port(p["name"], tuple(p["shape"]), p["dtype"]) for p in (fields["input"], *fields["outputs"])]
    return Bench(**{**fields, "input": ports[0], "outputs": tuple(ports[1:])})


def _answer(request: Json, send: Send) -> None:
    """Serve one request of `bench_in_fresh_process`, which has checked that a person named the runtime."""
    plugins.name_own("runtimes", request["runtime"])
    models = [Path(path) for path in request.pop("models")]
    benches = bench(
        models,
        **request,
        progress=lambda done, total: send(progress=[done, total]),
        opening=lambda path: send(file=os.fspath(path)),
    )
    send(benches=[asdict(result) for result in benches])


if __name__ == "__main__":
    serve_request(_answer)
