"""What holds for every test: no telemetry, one thread, repeatable examples."""

from __future__ import annotations

import fcntl
import getpass
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

# Both are read once, when the library is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run many small operations: threads would only wait for each other

# What tests measure, beside each other, is no latency of this machine: its own table stays as it is. One folder for all
# workers and for the next run, as what comes from npm is kept in it, too.
os.environ["XDG_CACHE_HOME"] = str(Path(tempfile.gettempdir()) / f"edgenas-tests-{getpass.getuser()}")

# A runtime that comes from npm is used if it is here; only who says so (npm_config_offline=false) has it fetched.
os.environ.setdefault("npm_config_offline", "true")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from edgenas.system import plugins

settings.register_profile(
    "edgenas", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("edgenas")

# Plugins of the tests, which they name as a person would.
for kind, name in (
    ("spaces", "tests._toys"),
    ("data", "tests._few_digits"),
    ("data", "tests.benchmarks._fashion_part"),
    ("evaluators", "tests.benchmarks._by_size"),
    ("runtimes", "tests._busy_runtime"),
    ("pretrained", "tests.pretrained._networks:lite"),
    ("pretrained", "tests.pretrained._networks:resnet"),
):
    plugins.name_own(kind, name)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def any_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test loads, a person has named."""
    monkeypatch.setattr(plugins, "check_named", lambda kind, name: None)


@pytest.fixture
def any_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rounds beside other tests, on any machine, are what they are."""
    allow_any_noise(monkeypatch)


def allow_any_noise(patch: pytest.MonkeyPatch) -> None:
    from edgenas.devices import confirm, ingest

    for module, name in (
        (ingest, "WORST_REPEAT_ERROR"),
        (confirm, "MAX_REPEAT_ERROR"),
        (confirm, "SLOWER_BY"),
        (confirm, "FASTER_BY"),
    ):
        patch.setattr(module, name, np.inf)
    patch.setattr(ingest, "MIN_CLEAN_SHARE", 0.0)


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """The folder of a small search on a supernet, finished; to be read only."""
    from tests._searched import search

    return built_once(tmp_path_factory, "first run", search)


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that the first worker of pytest-xdist to ask for it fills, and the others read."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, done = root / "shared" / name, root / "shared" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with (root / "shared" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
            build(folder)
            done.touch()
    return folder
