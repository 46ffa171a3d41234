"""Changes of run folders: of any file in one, of its settings, of its index of hashes, and of checkpoints."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from edgenas.system.checkpoint import MAGIC
from edgenas.system.file_index import INDEX, adopt
from tests.fuzz import hostile
from tests.fuzz.archives import CallsModule
from tests.fuzz.files import ANY, SETTINGS, TEXT, Change, Mutation, changed_inside, json_changed

OTHER_RUN = "hashes that fit make it another run; folders of an earlier version have none"
OWN_CODE = ("space", "data", "strategy", "evaluator", "runtime", "pretrained", "teacher", "weights", "scores", "reuse")
# Of a command line alone: a run keeps neither, and its folder starts no processes, here or elsewhere.
OF_START = {"ray": ("auto", "127.0.0.1:1", "ray://127.0.0.1:1", ""), "workers": (0, 2, -1, 10**9, 1.5, "2")}
BINARY = (".pt", ".onnx", ".npz", ".previous")
JSON = (".json", ".jsonl")


def _members(folder: Path, *suffixes: str) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return [path for path in files if not suffixes or path.suffix in suffixes]


def member_changed(folder: Path, rng: Random) -> str:
    """Do to one file what may be done to any of its kind."""
    path = rng.choice(_members(folder))
    changes = ANY if path.suffix in BINARY else SETTINGS if path.suffix == ".toml" else TEXT
    change: Change = json_changed if path.suffix in JSON and rng.random() < 0.5 else rng.choice(changes).change
    return f"{path.name}: {change(path, rng)}"


def members_swapped(folder: Path, rng: Random) -> str:
    suffix = rng.choice((".json", ".json", ".pt", ".npz", ".onnx", ".toml", ".csv"))
    one = rng.choice(_members(folder, suffix) or _members(folder))
    other = rng.choice(rng.choice((_members(folder, suffix), [])) or _members(folder))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    return f"{one.name} and {other.name} swapped"


def member_linked(folder: Path, rng: Random) -> str:
    """Put a link in place of a file: to a copy of it out of the folder of the case, or to nothing."""
    path = rng.choice(_members(folder))
    outside = folder.parents[2] / "linked"
    outside.write_bytes(path.read_bytes())
    target = rng.choice((outside, outside.with_name("nowhere")))
    path.unlink()
    path.symlink_to(target)
    return f"{path.name} is a link to {target.name}"


def left_behind(folder: Path, rng: Random) -> str:
    """Put files there that a killed process, or another program, has left."""
    names = ("run.lock", "run.lock.takeover", "supernet.pt.new", "supernet.pt.previous", "result.json.1.new", "x.tmp")
    name = rng.choice((*names, "finalist-1.onnx", "finalist-a.onnx", "finalist-0.onnx.rejected", "final.json"))
    content = rng.choice(
        (b"", b"{}", rng.randbytes(50), b'{"pid": -1, "host": "\x1b[31m", "started": null}', b"[" * 50_000)
    )
    (folder / name).write_bytes(content)
    return f"{name} with {content!r:.40}"


def artefact_changed(folder: Path, rng: Random) -> str:
    """Change a value of JSON, and make the hashes fit, or take them away."""
    path = rng.choice([path for path in _members(folder, ".json") if path.name != INDEX])
    value, said = changed_inside(json.loads(path.read_text()), rng)
    path.write_text(json.dumps(value))
    return f"{path.name}: {said}; {_indexed(folder, rng)}"


def trials_changed(folder: Path, rng: Random) -> str:
    path = folder / "trials.jsonl"
    if not path.exists():
        return artefact_changed(folder, rng)
    return f"{path.name}: {json_changed(path, rng)}"


def settings_changed(folder: Path, rng: Random) -> str:
    """Change the settings, and make the hashes fit, or take them away."""
    path, name = folder / "config.toml", rng.choice((*OWN_CODE, *OF_START))
    if rng.random() < 0.5:
        said = rng.choice(SETTINGS).change(path, rng)
    else:
        others = (*hostile.PLUGINS, "../outside", "/tmp/edgenas-fuzz-outside/x", "a\nb", "..")
        value = rng.choice(OF_START.get(name, others))
        lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{name} =")]
        path.write_text("".join(f"{line}\n" for line in [f"{name} = {json.dumps(value)}", *lines]))
        said = f"{name} = {value!r}"
    return f"config.toml: {said}; {_indexed(folder, rng)}"


def checkpoint_changed(folder: Path, rng: Random) -> str:
    """Change what a checkpoint holds, and seal it with the hash that then fits."""
    path = rng.choice(_members(folder, ".pt"))
    how = rng.choice(list(_PAYLOADS))
    content = path.read_bytes().partition(b"\n")[2]
    payload = torch.load(io.BytesIO(content), weights_only=True)
    buffer = io.BytesIO()
    torch.save(_PAYLOADS[how](payload, rng), buffer)
    path.write_bytes(MAGIC + hashlib.sha256(buffer.getvalue()).hexdigest().encode() + b"\n" + buffer.getvalue())
    return f"{path.name}: {how}"


def checkpoint_damaged(folder: Path, rng: Random) -> str:
    path = rng.choice(_members(folder, ".pt"))
    return f"{path.name}: {rng.choice(ANY).change(path, rng)}"


def kit_member_changed(folder: Path, rng: Random) -> str:
    """Change a file of an unpacked kit; its manifest, or what it measures."""
    path = folder / "manifest.json" if rng.random() < 0.6 else rng.choice(_members(folder, ".json", ".onnx"))
    change = json_changed if path.suffix == ".json" and rng.random() < 0.6 else rng.choice(ANY).change
    return f"{path.name}: {change(path, rng)}"


def _indexed(folder: Path, rng: Random) -> str:
    if not (folder / INDEX).exists() or rng.random() < 0.3:
        (folder / INDEX).unlink(missing_ok=True)
        return "without hashes"
    (folder / INDEX).unlink()
    adopt(folder)
    return "hashes fit"


def _tensors(payload: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return a payload with the first tensors that it holds changed."""
    if isinstance(payload, torch.Tensor):
        return change(payload)
    if isinstance(payload, dict):
        return {key: _tensors(value, change) for key, value in payload.items()}
    return [_tensors(value, change) for value in payload] if isinstance(payload, list) else payload


def _one_key(payload: dict[str, Any], rng: Random, new: Callable[[Any], Any] | None) -> dict[str, Any]:
    key = rng.choice(sorted(payload))
    rest = {name: value for name, value in payload.items() if name != key}
    return rest if new is None else rest | {key: new(payload[key])}


_PAYLOADS: dict[str, Callable[[dict[str, Any], Random], Any]] = {
    "code of a stranger": lambda p, rng: p | {"module": CallsModule()},
    "a key less": lambda p, rng: _one_key(p, rng, None),
    "another value": lambda p, rng: _one_key(p, rng, lambda value: hostile.value(rng)),
    "NaN": lambda p, rng: _tensors(p, lambda t: t * float("nan") if t.is_floating_point() else t),
    "infinite": lambda p, rng: _tensors(p, lambda t: t + float("inf") if t.is_floating_point() else t),
    "other shapes": lambda p, rng: _tensors(p, lambda t: t.reshape(-1)[: rng.randrange(3)]),
    "other types": lambda p, rng: _tensors(p, lambda t: t.to(torch.int64)),
    "nothing": lambda p, rng: rng.choice(({}, [], None, 3, "text")),
    "another identity": lambda p, rng: p | {"identity": rng.choice(({}, None, [], {"seed": 7}, "text"))},
}

OF_RUNS = (
    *(Mutation("any file", member_changed),) * 6,
    *(Mutation("swap files", members_swapped),) * 2,
    Mutation("link", member_linked),
    Mutation("left behind", left_behind),
    *(Mutation("artefact sealed again", artefact_changed, harmless=OTHER_RUN),) * 5,
    Mutation("trials", trials_changed),
    *(Mutation("settings sealed again", settings_changed, harmless=OTHER_RUN),) * 3,
)
OF_CHECKPOINTS = (
    *(Mutation("checkpoint", checkpoint_damaged),) * 2,
    *(Mutation("payload", checkpoint_changed, harmless=OTHER_RUN),) * 3,
)
OF_KIT_FOLDERS = (Mutation("file of a kit", kit_member_changed),)
