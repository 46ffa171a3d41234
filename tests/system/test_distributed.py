"""Two processes of torchrun against one."""

import json
import os
import socket
import subprocess
import sys

import pytest

from edgenas.errors import UsageError
from edgenas.system import distributed
from tests.training.trainings import toy

HELPER = "tests.training.trainings"


def launched(*arguments: object) -> list[tuple[int, str]]:
    """Exit code and stderr of two processes, started as torchrun starts its own, but without its four seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    command = [sys.executable, "-m", HELPER, *map(str, arguments)]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate()[1] for process in started]
    return [(process.returncode, error) for process, error in zip(started, errors, strict=True)]


def compare(one: dict, two: dict) -> None:
    assert two.pop("world") == 2
    for name, found in one.items():
        assert two[name].pop("losses") == pytest.approx(found.pop("losses"), abs=1e-5)
        assert two[name] == found, name  # weights and genotype, bit for bit: two sums have one rounding


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    assert [code for code, _ in launched("all", tmp_path / "found.json", 1)] == [0, 0]
    compare(toy(1).all(), json.loads((tmp_path / "found.json").read_text()))


@pytest.mark.slow
def test_torchrun_trains_what_one_process_trains_over_fifty_steps(tmp_path):
    found = {}
    for processes in (1, 2):
        out = tmp_path / f"{processes}.json"
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        subprocess.run([*launcher, "-m", HELPER, "all", str(out), "17"], check=True, capture_output=True)
        found[processes] = json.loads(out.read_text())
    assert found[1].pop("world") == 1 and all(len(row["losses"]) >= 50 for row in found[1].values())
    compare(found[1], found[2])


@pytest.mark.slow
def test_an_error_of_one_process_ends_both_with_its_exit_code_and_one_message(tmp_path):
    ended = launched("failing", tmp_path / "none", 1)
    assert [code for code, _ in ended] == [3, 3]
    said = [line for _, error in ended for line in error.splitlines() if line.startswith("edgenas:")]
    assert said == ["edgenas: an image is damaged; restore it"]


def test_one_process_asks_nobody():
    assert (distributed.rank(), distributed.world()) == (0, 1)
    assert distributed.broadcast("a") == "a" and distributed.gather("a") == ["a"]
    assert distributed.agree(True) and not distributed.agree(False)
    assert distributed.first(lambda: 1) == distributed.in_turn(lambda: 1) == 1
    assert distributed.shared_out(str, [1, 2, 3]) == ["1", "2", "3"]


def test_an_error_of_what_is_shared_out_is_raised():
    def refuse(item: int) -> int:
        raise UsageError(f"{item} is none")

    with pytest.raises(UsageError, match="1 is none"):
        distributed.shared_out(refuse, [1, 2])


def test_alone_is_alone(monkeypatch):
    token = distributed._place.set(distributed.Place(1, 2))
    try:
        with distributed.alone():
            assert (distributed.rank(), distributed.world()) == (0, 1)
        assert (distributed.rank(), distributed.world()) == (1, 2)
    finally:
        distributed._place.reset(token)
