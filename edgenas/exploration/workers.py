"""Trials in parallel, by Ray: on the cores of this machine, or on a cluster that is there already.

Each trial is a Ray task with one processor: Ray places it, and starts it again where its process died. What all trials
share (the problem, and the data with it) is sent once, and unpacked once in each process.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from edgenas.errors import EnvironmentFault, Interrupted, UsageError
from edgenas.exploration.driver import Map
from edgenas.exploration.problem import Outcome
from edgenas.graph.graph import Arch
from edgenas.runtimes import host
from edgenas.system import distributed
from edgenas.system.threads import configure_threads

RETRIES = 2  # of a trial whose process died: a network that runs out of memory does so every time
ANSWERS_S = 10.0  # until a cluster's address is taken to be dead
# A trial hangs that takes this many times as long as the longest so far, and at least these seconds.
HANGING, HANGING_S = 20.0, 600.0
HANGING_FIRST_S = 6 * 3600.0  # of the first trials, while none of them has ended
LOOKS_S = 5.0  # between two looks at the first trials
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": str(RETRIES),  # by itself Ray retries for ever what runs out of memory
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what it prints of dead processes: outcomes say it in their errors
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of what a search that ends does not wait for
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what a later version does, without this one's warning of it
}

Attempt = Callable[[Arch], Outcome]


@contextmanager
def trial_map(workers: int, address: str | None, log: Callable[[str], None]) -> Iterator[Map]:
    """Yield what maps trials: the built-in `map` for one worker, else Ray, started here or joined at `address`.

    Where torchrun started several processes, these share the trials out among them.

    A process that has Ray running uses that, and leaves it running.

    Args:
        workers: processes at once on this machine.
        address: of a cluster to join, `auto` for one on this machine; None for none.
        log: told what is used.

    Raises:
        UsageError: Ray is not installed.
        EnvironmentFault: it does not start, or there is none at `address`.
    """
    if distributed.world() > 1:
        yield distributed.shared_out
        return
    used = capped(workers, address)
    if used < workers:
        log(f"--workers {workers}: capped at {used}, the cores that there are here")
    if used == 1 and address is None:
        yield map
        return
    ray = import_ray()
    there = ray.is_initialized()
    try:
        if not there:
            _connect(ray, used, address)
        log(f"trials on {ray.cluster_resources().get('CPU', 0):.0f} workers with one thread each, by Ray")
        yield RayMap(ray)
    finally:
        if not there:
            ray.shutdown()


def capped(workers: int, address: str | None) -> int:
    """Return how many trials run at once: on this machine no more than it has cores; a cluster decides itself."""
    return workers if address else min(workers, host.usable_cores())


def check_ray(address: str | None) -> None:
    """Check that Ray can be used, without starting it.

    Raises:
        UsageError: it is not installed.
        EnvironmentFault: nobody answers at `address`.
    """
    import_ray()
    if address and address != "auto":
        try:
            _knock(address)
        except (OSError, ValueError) as error:
            raise EnvironmentFault(f"--ray {address}: cannot join; is it up? ({_first_line(error)})") from error


def import_ray() -> Any:
    """Return the module. Raises UsageError, naming what to install, if there is none."""
    for name, value in SETTINGS.items():  # some are read at the import
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"trials in parallel need Ray ({error}): pip install 'edgenas[ray]'") from error
    return ray


class RayMap:
    """A `Map` of trials on Ray.

    A trial whose process is killed is tried again, twice at most; then it is an outcome without metrics, and with the
    cause as its error. So is one that hangs, by the time of those that were done. What was done is not done again.
    """

    def __init__(self, ray: Any) -> None:
        """Use `ray`, the module, which is running."""
        self._ray = ray
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt)
        self._function: Attempt | None = None
        self._sent: list[Any] = []
        self._done: dict[Arch, Outcome] = {}

    def __call__(self, function: Attempt, archs: Sequence[Arch], /) -> Iterator[Outcome]:
        """Yield one outcome per architecture, in their order. `function` depends on the architecture alone.

        Raises:
            EdgeNASError: what the function raises.
            EnvironmentFault: Ray itself failed.
        """
        # A bound method is another object at each access, but equal: a search sends its problem, with the data, once.
        if function != self._function:
            self._function, self._sent, self._done = function, [self._ray.put(function)], {}
        longest_s = max((outcome.seconds for outcome in self._done.values()), default=None)
        limit_s = None if longest_s is None else max(HANGING_S, HANGING * longest_s)
        # A reference in a list is passed on as it is: Ray would unpack it again for every task.
        fresh = dict.fromkeys(arch for arch in archs if arch not in self._done)
        tasks = {arch: self._remote.remote(self._sent, arch, limit_s) for arch in fresh}
        for arch in archs:
            if arch in self._done:
                yield replace(self._done[arch], seconds=0.0)
                continue
            if limit_s is None:
                self._await_first(tasks[arch], list(tasks.values()))
            outcome = self._outcome(tasks[arch], limit_s)
            if outcome.error is None:
                self._done[arch] = outcome
            yield outcome

    def _await_first(self, task: Any, tasks: Sequence[Any]) -> None:
        """Wait for one of the first trials, whose usual length nobody knows; end it where others ended long ago."""
        begun, known = time.monotonic(), 0
        while not self._ray.wait([task], timeout=LOOKS_S)[0]:
            ended = self._ray.wait(list(tasks), num_returns=len(tasks), timeout=0)[0]
            if len(ended) > known:  # a worker is free, which may have begun this one
                begun, known = time.monotonic(), len(ended)
            if time.monotonic() - begun > self._patience_s(ended):
                self._ray.cancel(task, force=True)
                return

    def _patience_s(self, ended: Sequence[Any]) -> float:
        """How long a trial may take, by those that have ended."""
        longest_s = 0.0
        for task in ended:
            with suppress(self._ray.exceptions.RayError):  # it failed, which is told where its own turn comes
                longest_s = max(longest_s, self._ray.get(task).seconds)
        return max(HANGING_S, HANGING * longest_s) if longest_s else HANGING_FIRST_S

    def _outcome(self, task: Any, limit_s: float | None) -> Outcome:
        """Wait for a task and return what became of it; one that hangs or dies is an outcome with an error."""
        faults = self._ray.exceptions
        begun = time.monotonic()
        try:
            outcome: Outcome = self._ray.get(task)
            return outcome
        except faults.RayTaskError as fault:
            raise fault.cause from fault
        except faults.TaskCancelledError:
            return Outcome({}, time.monotonic() - begun, "it hung: other trials ended long before")
        except (faults.WorkerCrashedError, faults.OutOfMemoryError, faults.NodeDiedError) as fault:
            hung = "" if limit_s is None else f", or took over {limit_s:.0f} s,"
            cause = (
                f"its process died{hung} in each of {1 + RETRIES} tries: {type(fault).__name__}, {_first_line(fault)}"
            )
            return Outcome({}, time.monotonic() - begun, cause)
        except faults.RayError as fault:
            raise EnvironmentFault(f"Ray failed, {type(fault).__name__}: {_first_line(fault)}; resume") from fault


def _attempt(sent: Sequence[Any], arch: Arch, limit_s: float | None) -> Outcome:
    """Try an architecture in a worker, whose process ends after `limit_s` seconds, whatever it is busy with."""
    function = _unpacked(*sent)
    if limit_s is not None:
        # Its thread needs no interpreter lock, so it also ends a process that hangs inside a library's own code. To Ray
        # that is a crash, after which it tries the trial again.
        faulthandler.dump_traceback_later(limit_s, exit=True, file=2)
    try:
        return function(arch)
    finally:
        faulthandler.cancel_dump_traceback_later()


@lru_cache(maxsize=1)
def _unpacked(reference: Any) -> Attempt:
    """Return what all tasks of a process share."""
    configure_threads()  # torch comes with it
    import ray

    function: Attempt = ray.get(reference)
    return function


def _connect(ray: Any, workers: int, address: str | None) -> None:
    """Join a cluster, or start one of this process's own, which ends with it, however it ends."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        # A secret of this process: others on this machine reach Ray's ports, and its own one would go to the user's
        # home. By this address Ray listens on no other interface.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        options |= {"num_cpus": workers, "num_gpus": 0, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    check_ray(address)
    try:
        with _own_sigterm():
            ray.init(address=address or "local", **options)
    except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
        advice = f"--ray {address}: cannot join; is it up?" if address else "Ray does not start; leave --workers out"
        raise EnvironmentFault(f"{advice} ({_first_line(error)})") from error


def _knock(address: str) -> None:
    """Raise OSError if nobody answers, for which Ray itself would wait some minutes."""
    name, _, port = address.removeprefix("ray://").rpartition(":")
    # Sockets take an IPv6 address without the brackets that part it from the port.
    socket.create_connection((name.strip("[]"), int(port)), timeout=ANSWERS_S).close()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Give SIGTERM back, which Ray's start takes over to exit at once, and with it one that came meanwhile."""
    # Python lets only the main thread set handlers, and Ray sets none elsewhere.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    late = False
    try:
        yield
    except SystemExit:
        late = True
    finally:
        signal.signal(signal.SIGTERM, before)
    if late:
        signal.raise_signal(signal.SIGTERM)
        raise Interrupted("stopped while Ray started")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
