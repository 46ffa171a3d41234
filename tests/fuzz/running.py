"""One command, in this process or in a child, with what it prints, writes, imports and takes."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO

from tests.fuzz.hostile import MODULE
from tests.fuzz.watching import Guard, Stopwatch

ROOT = Path(__file__).parents[2]
MARK = "EDGENAS_FUZZ_MARK"  # as in the module that inputs name; nothing here imports it
LIMIT_S = 30.0
START_S = 30.0  # that a child may take beside, to import and to end
STUCK_S = 180.0  # where not even an exception ends a command, the process ends, and says where it was

_GUARD = Guard()


class TooLong(BaseException):
    """The time is up; no `except Exception` takes it for an error of the command's own."""


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Args:
        code: its exit code; None if it raised something, or was killed.
        out, err: what it printed.
        seconds: how long it took.
        raised: traceback of what it raised, or the signal that ended it.
        outside: paths out of its folder that it changed.
        marked: whether it imported the module that inputs name.
        grown_mb: by how much the largest memory of the process grew.
    """

    code: int | None
    out: str
    err: str
    seconds: float
    raised: str = ""
    outside: tuple[str, ...] = ()
    marked: bool = False
    grown_mb: int = 0


def call(argv: Sequence[str], folder: Path, command: Callable[[Sequence[str]], int] | None = None) -> Outcome:
    """Run a command in this process, in `folder`; the process is then as it was.

    Args:
        argv: words after `edgenas`.
        folder: of the case, all that it may change.
        command: what takes the words; `edgenas.cli.main.main` if None.
    """
    if command is None:
        from edgenas.cli.main import main

        command = main
    code, raised, mark = None, "", folder / "mark"
    before_mb = _memory_mb()
    with _surroundings(folder, mark), _captured() as printed, _limited(LIMIT_S, STUCK_S) as watch:
        _GUARD.begin(folder)
        try:
            code = command(list(argv))
        except TooLong:
            raised = f"not done after {LIMIT_S:.0f} s\n{traceback.format_exc()}"
        except BaseException:
            raised = traceback.format_exc()
        finally:
            outside = _GUARD.end()
    out, err = printed()
    marked = sys.modules.pop(MODULE, None) is not None or mark.exists()
    return Outcome(code, out, err, watch.seconds, raised, outside, marked, _memory_mb() - before_mb)


def call_child(argv: Sequence[str], folder: Path) -> Outcome:
    """Run a command in a process of its own, which it may crash."""
    answer = folder / "outcome.json"
    request = json.dumps({"argv": list(argv), "folder": str(folder), "answer": str(answer)})
    outcome = _run([sys.executable, "-m", "tests.fuzz.running"], folder, request, ROOT, {"PYTHONPATH": str(ROOT)})
    if not answer.exists():
        return replace(outcome, code=None, raised=f"the process ended with {outcome.code}\n{outcome.err[-2000:]}")
    found = json.loads(answer.read_text())
    answer.unlink()
    return replace(Outcome(**found), outside=tuple(found["outside"]))


def call_script(words: Sequence[str], folder: Path) -> Outcome:
    """Run Python on a script that a case holds."""
    outcome = _run([sys.executable, *words], folder, "", folder, {})
    return replace(outcome, code=None) if outcome.raised else outcome


def _run(words: Sequence[str], folder: Path, request: str, cwd: Path, more: dict[str, str]) -> Outcome:
    """Run another program to its end; `raised` says what ended it, if it did not end by itself."""
    env, late = os.environ | _variables(folder, folder / "mark") | more, threading.Event()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=err, env=env, cwd=cwd)

        def stop() -> None:
            late.set()
            child.kill()

        with Stopwatch(stop=(LIMIT_S + START_S, stop)) as watch:
            child.communicate(request.encode())
        texts = [_content(file) for file in (out, err)]
    raised = f"not done after {LIMIT_S + START_S:.0f} s" if late.is_set() else ""
    if child.returncode < 0 and not raised:
        raised = f"ended by signal {-child.returncode}"
    return Outcome(child.returncode, texts[0], texts[1], watch.seconds, raised, marked=(folder / "mark").exists())


def _variables(folder: Path, mark: Path) -> dict[str, str]:
    places = {"XDG_CACHE_HOME": "cache", "HOME": "home", "TMPDIR": "tmp"}
    for place in places.values():
        (folder / place).mkdir(exist_ok=True)
    return {
        **{name: str(folder / place) for name, place in places.items()},
        MARK: str(mark),
        "ORT_DISABLE_TELEMETRY": "1",
        "npm_config_offline": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "100",
    }


@contextmanager
def _surroundings(folder: Path, mark: Path) -> Iterator[None]:
    """Environment, working directory and names of plugins of a case, and those of before in the end."""
    from edgenas.system import plugins

    env, cwd, path, named = dict(os.environ), os.getcwd(), list(sys.path), set(plugins._NAMED)
    temporary, bytecode = tempfile.tempdir, sys.dont_write_bytecode
    os.environ.update(_variables(folder, mark))
    tempfile.tempdir, sys.dont_write_bytecode = str(folder / "tmp"), True
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # each case hears what an earlier one has heard
            yield
    finally:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.path[:], tempfile.tempdir, sys.dont_write_bytecode = path, temporary, bytecode
        plugins._NAMED.clear()
        plugins._NAMED.update(named)


@contextmanager
def _captured() -> Iterator[Callable[[], tuple[str, str]]]:
    """Take stdout and stderr of this process and of what it starts; what is yielded gives the texts in the end."""
    texts: list[str] = []
    kept = [os.dup(0), os.dup(1), os.dup(2)]
    streams = sys.stdin, sys.stdout, sys.stderr
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for file, number in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(file.fileno(), number)
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it is closed below
        sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", errors="replace", closefd=False) for n in (1, 2))
        try:
            yield lambda: (texts[0], texts[1])
        finally:
            for stream in (sys.stdin, sys.stdout, sys.stderr):
                stream.close()
            sys.stdin, sys.stdout, sys.stderr = streams
            for number, file_number in enumerate(kept):
                os.dup2(file_number, number)
                os.close(file_number)
            texts += [_content(file) for file in (out, err)]


@contextmanager
def _limited(seconds: float, stuck_s: float) -> Iterator[Stopwatch]:
    """Raise TooLong in the main thread when the time is up; alarms belong to the command itself."""
    main = threading.main_thread().ident
    assert main is not None

    def raise_(signum: int, frame: FrameType | None) -> None:
        raise TooLong

    def end() -> None:
        faulthandler.dump_traceback(all_threads=True)
        os._exit(70)

    before = signal.signal(signal.SIGUSR1, raise_)
    try:
        with Stopwatch(late=(seconds, lambda: signal.pthread_kill(main, signal.SIGUSR1)), end=(stuck_s, end)) as watch:
            yield watch
    finally:
        signal.signal(signal.SIGUSR1, before)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _serve() -> None:
    """Answer one request of `call_child`."""
    request = json.load(sys.stdin)
    outcome = call(request["argv"], Path(request["folder"]))
    Path(request["answer"]).write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    _serve()
