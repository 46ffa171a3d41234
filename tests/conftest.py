"""What holds for every test: no telemetry, one thread, repeatable examples."""

from __future__ import annotations

import os

# Both are read once, when the library is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run many small operations: threads would only wait for each other

# A runtime that comes from npm is used if it is here; only who says so (npm_config_offline=false) has it fetched.
os.environ.setdefault("npm_config_offline", "true")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "edgenas", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("edgenas")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """The folder of a small search on a supernet, finished; to be read only."""
    from tests._searched import search

    folder = tmp_path_factory.mktemp("searched") / "first run"
    search(folder)
    return folder
