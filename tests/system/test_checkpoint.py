import ast
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import edgenas
from edgenas.errors import CheckpointError, DamagedRun, EnvironmentFault
from edgenas.system.checkpoint import check_identity, load, load_kept, load_weights, previous, save, understood


def payload(value):
    return {"identity": {"seed": 0}, "x": torch.full((3,), float(value))}


def test_round_trip_keeps_one_older_generation(tmp_path):
    path = tmp_path / "a.pt"
    for value in (1, 2, 3):
        save(path, payload(value))
    assert load(path)["x"][0] == 3
    assert load(previous(path))["x"][0] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "a.pt.previous"]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b"", lambda b: b"junk"],
    ids=["truncated", "bit flip", "empty", "foreign"],
)
def test_a_damaged_checkpoint_gives_the_older_generation_with_a_warning(tmp_path, damage):
    path = tmp_path / "a.pt"
    save(path, payload(1))
    save(path, payload(2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match="going on from a.pt.previous"):
        assert load(path)["x"][0] == 1


def test_two_damaged_generations_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    for value in (1, 2):
        save(path, payload(value))
    for generation in (path, previous(path)):
        generation.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="no intact generation"):
        load(path)


def test_checkpoints_that_changed_places_are_named(tmp_path):
    for name in ("a.pt", "b.pt"):
        save(tmp_path / name, payload(0))
    os.replace(tmp_path / "b.pt", tmp_path / "a.pt")
    with pytest.raises(DamagedRun, match="a.pt: it was written as b.pt"):
        load(tmp_path / "a.pt")


def test_a_file_of_an_earlier_version_has_no_name_and_is_read(tmp_path):
    save(tmp_path / "a.pt", payload(1))
    head, _, content = (tmp_path / "a.pt").read_bytes().partition(b"\n")
    (tmp_path / "a.pt").write_bytes(head.rpartition(b" ")[0] + b"\n" + content)
    assert load(tmp_path / "a.pt")["x"][0] == 1


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path)], ids=["folder", "loop"])
def test_what_is_no_file_is_damage(tmp_path, make):
    make(tmp_path / "a.pt")
    with pytest.raises(DamagedRun, match="a.pt"):
        load_kept(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "state, reason",
    [
        (lambda state: {**state, "weight": torch.full((2, 3), torch.nan)}, "weight has values that are not finite"),
        (lambda state: 0.5, "float"),
        (lambda state: {**state, "weight": "text"}, "str"),
    ],
)
def test_weights_that_are_not_of_a_network_are_damage(tmp_path, state, reason):
    module = torch.nn.Linear(3, 2)
    with pytest.raises(DamagedRun, match=f"a.pt: it does not hold what belongs there .*{reason}") as caught:
        with understood(tmp_path / "a.pt"):
            load_weights(module, state(dict(module.state_dict())))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3


@pytest.mark.parametrize(
    "change, difference",
    [
        ({"weight": torch.zeros(1)}, r"weight has shape \(1,\), and here shape \(2, 3\)"),
        ({"other": torch.zeros(1)}, r"other has shape \(1,\), and here none"),
        ({3: torch.zeros(1)}, r"3 has shape \(1,\), and here none"),
        ({"x" * 500: torch.zeros(1)}, r"x{200}\.\.\. has"),
        (None, r"weight has none, and here shape \(2, 3\)"),
    ],
)
def test_weights_of_other_names_or_shapes_are_another_versions(tmp_path, change, difference):
    module = torch.nn.Linear(3, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = {} if change is None else {**before, **change}
    with pytest.raises(CheckpointError, match=f"a.pt: weights of another version: {difference}") as caught:
        with understood(tmp_path / "a.pt"):
            load_weights(module, state)
    assert caught.value.exit_code == 2
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("identity", [None, "text", 3, [1]])
def test_an_identity_of_another_kind_is_damage(tmp_path, identity):
    with pytest.raises(CheckpointError):
        check_identity(tmp_path / "a.pt", {"identity": identity}, {"seed": 0})


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.pt")


def test_a_pickle_is_never_executed(tmp_path):
    """Even one under a valid hash of ours."""

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/owned",)

    buffer = io.BytesIO()
    torch.save({"x": Evil()}, buffer)
    content = buffer.getvalue()
    path = tmp_path / "a.pt"
    path.write_bytes(b"edgenas-checkpoint-1 " + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    with pytest.raises(CheckpointError, match="something else than weights"):
        load(path)
    assert not (tmp_path / "owned").exists()


def test_identity_names_the_difference(tmp_path):
    with pytest.raises(CheckpointError, match="seed = 0, this run has 1"):
        check_identity(tmp_path / "a.pt", payload(0), {"seed": 1})
    check_identity(tmp_path / "a.pt", payload(0), {"seed": 0})


def test_an_unwritable_place_is_an_environment_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write the checkpoint"):
        save(tmp_path / "file" / "a.pt", payload(0))


def test_killed_while_writing_leaves_an_intact_generation(tmp_path):
    """SIGKILL at any moment of a loop that does nothing but write."""
    script = textwrap.dedent(
        f"""
        import pathlib, torch
        from edgenas.system.checkpoint import save
        value = 0
        while True:
            save(pathlib.Path({str(tmp_path / "a.pt")!r}), {{"x": torch.full((200_000,), float(value))}})
            print(value, flush=True)
            value += 1
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(5):
        written = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert load(tmp_path / "a.pt")["x"].min() >= written


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_leaves_the_last_checkpoint_intact(tmp_path, monkeypatch, call):
    path = tmp_path / "a.pt"
    save(path, payload(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(EnvironmentFault, match="No space left.*free space and resume"):
        patch.setattr(os, call, full)
        save(path, payload(2))
    assert load(path)["x"][0] == 1 and [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_nothing_in_the_package_loads_more_than_weights():
    """`torch.load` runs what a file says, and so does pickle, unless they are told not to."""
    calls = []
    for file in Path(edgenas.__file__).parent.rglob("*.py"):
        calls += [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    named = [(ast.unparse(call.func), {k.arg: ast.unparse(k.value) for k in call.keywords}) for call in calls]
    loads = [given for name, given in named if name == "torch.load"]
    assert loads and all(given.get("weights_only") == "True" for given in loads)
    assert not {name for name, _ in named} & {"pickle.load", "pickle.loads", "pickle.Unpickler"}
    assert not [given for name, given in named if name == "np.load" and given.get("allow_pickle", "False") != "False"]
