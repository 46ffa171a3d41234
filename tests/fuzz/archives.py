"""Changes of zips and of .npz files, which are zips of arrays."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from edgenas.devices.runner import MANIFEST
from tests.fuzz import hostile
from tests.fuzz.files import ANY, Mutation
from tests.fuzz.hostile import MODULE

BOMB_BYTES = 1 << 30
PLACES = (
    *("../outside", "/tmp/edgenas-fuzz-outside/x", "a/../../outside", "C:\\outside", "..\\outside"),
    *("a\nb", "\x1b[2J"),
)
ArrayChange = Callable[[np.ndarray, Random], np.ndarray]
OTHER_ARRAYS = "arrays of other numbers are another data set"


class CallsModule:
    """When unpickled, it imports a module that only the file names."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (MODULE,)


def entry_deleted(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    name = rng.choice(sorted(entries))
    del entries[name]
    return zipped(path, entries, f"no {name}")


def entries_swapped(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    one, other = (rng.choice(sorted(entries)) for _ in range(2))
    entries[one], entries[other] = entries[other], entries[one]
    return zipped(path, entries, f"{one} and {other} swapped")


def entry_spoilt(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    name = rng.choice(sorted(entries))
    entries[name] = entries[name][: rng.randrange(len(entries[name]) + 1)] + rng.choice((b"", b"\0", rng.randbytes(50)))
    return zipped(path, entries, f"{name} cut off")


def entry_outside(path: Path, rng: Random) -> str:
    name = rng.choice(PLACES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"outside")
    return f"an entry {name!r}"


def entry_linked(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    name = rng.choice(sorted(entries))
    link = zipfile.ZipInfo(name)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        for other, content in entries.items():
            archive.writestr(link if other == name else other, b"/etc/hostname" if other == name else content)
    return f"{name} is a link to /etc/hostname"


def entry_twice(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    name = rng.choice(sorted(entries))
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        for other, content in [*entries.items(), (name, rng.choice(list(entries.values())))]:
            info = zipfile.ZipInfo(other)
            archive.writestr(info, content)
    path.write_bytes(buffer.getvalue())
    return f"{name} twice"


def bomb(path: Path, rng: Random) -> str:
    entries = entries_of(path)
    name = MANIFEST if MANIFEST in entries else rng.choice(sorted(entries))
    head = entries[name][:128]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, content in entries.items():
            if other != name:
                archive.writestr(other, content)
        with archive.open(name, "w", force_zip64=True) as file:
            file.write(head)
            block = rng.choice((b"\0", b" ", b"[")) * (1 << 20)
            for _ in range(BOMB_BYTES >> 20):
                file.write(block)
    return f"{name} grows to a gigabyte"


def flagged(path: Path, rng: Random) -> str:
    """Set flags, method or sizes in the zip's own records."""
    content = bytearray(path.read_bytes())
    starts = [i for i in range(len(content) - 4) if bytes(content[i : i + 4]) in (b"PK\x01\x02", b"PK\x03\x04")]
    at = rng.choice(starts)
    field, size = rng.choice(((8, 2), (10, 2), (20, 4), (24, 4), (42, 4)) if content[at + 2] == 1 else ((6, 2), (8, 2)))
    value = rng.choice((0, 1, 9, 12, 14, 99, 2**16 - 1))
    content[at + field : at + field + size] = struct.pack("<H" if size == 2 else "<I", value)
    path.write_bytes(content)
    return f"{value} in the record at byte {at}, field {field}"


def array_changed(path: Path, rng: Random) -> str:
    """Change one array as a program might have written it."""
    arrays = _arrays(path)
    name = rng.choice(sorted(arrays))
    how = rng.choice(list(_ARRAYS))
    arrays[name] = _ARRAYS[how](arrays[name], rng)
    _saved(path, arrays)
    return f"{name}: {how}"


def labels_changed(path: Path, rng: Random) -> str:
    """Give other labels, which may be meant."""
    return _relabelled(path, rng, _LABELS)


def labels_spoilt(path: Path, rng: Random) -> str:
    """Give labels that nobody means."""
    return _relabelled(path, rng, _NO_LABELS)


def _relabelled(path: Path, rng: Random, changes: Mapping[str, ArrayChange]) -> str:
    arrays, how = _arrays(path), rng.choice(list(changes))
    arrays["label"] = changes[how](arrays["label"], rng)
    _saved(path, arrays)
    return f"labels: {how}"


def names_changed(path: Path, rng: Random) -> str:
    """Give classes other names, that repeat or do not print."""
    arrays = _arrays(path)
    count = int(arrays["label"].max()) + 1
    texts = [hostile.text(rng)[:400] for _ in range(count + 50)]
    choices = (
        texts[:count],
        texts[: count + rng.choice((-1, 1, 50))],
        texts[:1] * count,
        [text.encode("utf-8", "surrogatepass") for text in texts[:count]],
        [rng.choice((b"ant", *hostile.NO_UTF8)) for _ in range(count)],
        [rng.choice(("ant", *hostile.SURROGATES)) for _ in range(count)],
    )
    names = rng.choice(choices)
    arrays["classes"] = np.array(names)
    _saved(path, arrays)
    return f"classes {names!r:.100}"


def splits_changed(path: Path, rng: Random) -> str:
    arrays = _arrays(path)
    total = len(arrays["label"])
    arrays.pop("is_train", None)
    mark = rng.choice(("train", "test", "val", "Train ", "", "holdout", "\x1b[31m", "nan"))
    marks = np.array([mark, "train", "test"])
    if rng.random() < 0.3:
        marks = np.array([rng.choice((mark.encode(), *hostile.NO_UTF8)), b"train", b"test"])
    splits = marks[np.array([rng.randrange(3) for _ in range(total)])]
    if rng.random() < 0.5:
        arrays["split"] = splits[: rng.choice((0, 1, total, total - 1))]
    else:
        arrays["is_train"] = rng.choice((np.zeros(total), np.full(total, np.nan), np.array("no"), np.array([True] * 3)))
    _saved(path, arrays)
    return f"splits {marks.tolist()!r}"


def claimed_shape(path: Path, rng: Random) -> str:
    """Let the head of an array claim another shape or type than its bytes have."""
    entries = entries_of(path)
    name = rng.choice(sorted(entries))
    shape = rng.choice(("(10000000000000,)", "(-1,)", "()", "(2, 2", "(1e3,)", "(1_0,)", "(" * 500 + ")" * 500))
    kind = rng.choice(("|u1", "<i8", "|O", "<U1000000", "<M8[ns]", "<c16", "V8"))
    head = f"{{'descr': '{kind}', 'fortran_order': {rng.choice(('False', 'True', '3'))}, 'shape': {shape}, }}"
    head = head.ljust(118)[:60_000] + "\n"
    entries[name] = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + entries[name][128:]
    return zipped(path, entries, f"{name} claims {kind} {shape[:30]}")


def entries_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, entries: dict[str, bytes], said: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return said


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _saved(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


_ARRAYS: dict[str, ArrayChange] = {
    "reals": lambda a, rng: _reals(a) / 255,
    "NaN": lambda a, rng: np.where(np.arange(a.size).reshape(a.shape) == rng.randrange(a.size), np.nan, _reals(a)),
    "complex": lambda a, rng: _reals(a).astype(np.complex128),
    "objects": lambda a, rng: np.array([CallsModule(), None], dtype=object),
    "texts": lambda a, rng: a.astype(str),
    "byte strings": lambda a, rng: a.astype("S4"),
    "nothing": lambda a, rng: a[:0],
    "one": lambda a, rng: a[:1],
    "one less": lambda a, rng: a[:-1],
    "all but every second": lambda a, rng: a[::2],
    "a number": lambda a, rng: np.array(rng.choice((0, -1, 3.5, True, "text"))),
    "more dimensions": lambda a, rng: a[..., None, None],
    "flat": lambda a, rng: a.reshape(-1),
    "16 bits": lambda a, rng: (_reals(a) * 257).astype(np.uint16),
    "bigger ends": lambda a, rng: _reals(a).astype(">i4"),
    "dates": lambda a, rng: np.zeros(a.shape, "datetime64[D]"),
    "records": lambda a, rng: np.zeros(a.shape, [("a", "u1"), ("b", "f4")]),
    "no sides": lambda a, rng: a.reshape(len(a), -1)[:, :0],
}


def _reals(array: np.ndarray) -> np.ndarray:
    return array.astype(float) if array.dtype.kind in "biuf" else np.zeros(array.shape)


_NO_LABELS: dict[str, ArrayChange] = {
    "one is far away": lambda a, rng: _one(a.astype(np.int64), rng.choice((-1, 10**6, 2**62, -(2**63))), rng),
    "unsigned and huge": lambda a, rng: _one(a.astype(np.uint64), 2**64 - 1, rng),
    "halves": lambda a, rng: a + 0.5,
    "infinite": lambda a, rng: _one(a.astype(float), rng.choice((np.nan, np.inf, -np.inf)), rng),
}
_LABELS: dict[str, ArrayChange] = {
    "one is new": lambda a, rng: _one(a.astype(np.int64), rng.choice((3, 4, 99)), rng),
    "whole reals": lambda a, rng: a.astype(float),
    "one class": lambda a, rng: a * 0,
    "a class of one": lambda a, rng: _one(a * 0, 1, rng),
    "a class without images": lambda a, rng: a * 2,
    "each its own": lambda a, rng: np.arange(len(a)),
    "truths": lambda a, rng: a > 0,
    "one hot": lambda a, rng: np.eye(3)[a],
    "one column": lambda a, rng: a[:, None],
    "texts": lambda a, rng: np.array(["ant", "bee", "cow"])[a],
    "byte strings": lambda a, rng: np.array([b"ant", b"bee", rng.choice(hostile.NO_UTF8)])[a],
}


def _one(array: np.ndarray, value: float, rng: Random) -> np.ndarray:
    array = array.copy()
    array[rng.randrange(len(array))] = value
    return array


OF_ZIPS = (
    *ANY,
    Mutation("delete entry", entry_deleted),
    Mutation("swap entries", entries_swapped),
    Mutation("spoil entry", entry_spoilt),
    Mutation("entry outside", entry_outside),
    Mutation("entry that is a link", entry_linked),
    Mutation("entry twice", entry_twice),
    Mutation("bomb", bomb),
    Mutation("records of the zip", flagged),
)
OF_NPZ = (
    *OF_ZIPS,
    *(Mutation("array", array_changed),) * 5,
    *(Mutation("labels", labels_changed, harmless=OTHER_ARRAYS), Mutation("bad labels", labels_spoilt)) * 2,
    *(Mutation("names of classes", names_changed, harmless=OTHER_ARRAYS),) * 2,
    *(Mutation("splits", splits_changed, harmless=OTHER_ARRAYS),) * 2,
    *(Mutation("head of an array", claimed_shape),) * 2,
)
