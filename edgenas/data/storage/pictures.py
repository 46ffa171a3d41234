"""The decoded pictures of a set, in one file that training reads from; the pass that makes it finds broken files."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edgenas.data.storage.decode import WHITE, Unreadable, decode_deep, white_of
from edgenas.data.storage.disk import MappedFile, amount, check_room, locked, make_folder, write_whole
from edgenas.data.storage.loader import loaded
from edgenas.data.storage.npz_file import read_npz
from edgenas.data.storage.options import PhotoOptions, user_cache
from edgenas.data.storage.order import Rows
from edgenas.data.view import Pixels
from edgenas.errors import EnvironmentFault

if TYPE_CHECKING:
    from PIL import Image

FORMAT = 3  # of the files; a cache of another one is made again
INDEX, PIXELS = "index.npz", "pixels.bin"
# Random parts have 3/5 of a picture's sides at least: with this much more than the network's side, none is enlarged,
# which would blur what the network is to learn from.
ROOM_FOR_CROPS = 5 / 3
CHUNK = 8  # pictures that a worker hands over at once: containers often have 64 MB of shared memory for all of it
SAMPLED = 200  # pictures whose headers are read to tell the size beforehand: it is then within a few per cent


@dataclass(frozen=True, eq=False)
class Pictures:
    """Upright RGB pictures by row, their short side at most that of the cache; each keeps its shape.

    Args:
        folder: that holds the cache, and what else is made of these files.
        starts: (N,) where each picture begins in the file, in bytes.
        shapes: (N, 2) height and width; zero for a file that cannot be decoded.
        originals: (N, 2) height and width of the pictures themselves.
        largest: (N,) largest value of each picture of 16 bits; 0 for any other.
        white: of the set's 16-bit pictures.
        unreadable: the reason by row.
    """

    folder: Path
    starts: Rows = field(repr=False)
    shapes: Rows = field(repr=False)
    originals: Rows = field(repr=False)
    largest: Rows = field(repr=False)
    white: int
    unreadable: dict[int, str]
    pixels: MappedFile = field(repr=False)

    def read(self, row: int) -> Pixels:
        """Return a picture (height, width, 3), which is valid until `pixels.release`."""
        height, width = map(int, self.shapes[row])
        return self.pixels.read(int(self.starts[row]), height * width * 3).reshape(height, width, 3)

    def hidden(self) -> float:
        """Return the share of its pixels, on average, that a centred square hides of a picture."""
        shapes = self.shapes[self.shapes.min(axis=1) > 0]
        return float(np.mean(1 - shapes.min(axis=1) / shapes.max(axis=1))) if len(shapes) else 0.0

    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Return height and width of the smallest, the median and the largest picture, by area."""
        areas = self.originals.prod(axis=1)
        order = np.argsort(areas, kind="stable")[int((areas == 0).sum()) :]
        picked = order[[0, len(order) // 2, -1]] if len(order) else order
        return tuple((int(height), int(width)) for height, width in self.originals[picked])

    def depth(self) -> tuple[int | None, int | None]:
        """Return what is white in pictures of 16 bits, and how many of 256 levels the darkest has; None without any."""
        deep = self.largest[self.largest > 0]
        return (self.white, int(deep.min() * 255 // self.white) + 1) if len(deep) else (None, None)


def cached_pictures(root: Path, files: Sequence[Path], image_size: int, options: PhotoOptions) -> Pictures:
    """Return the decoded pictures of a set, from the cache if they are there and the files are still the same.

    Args:
        root: folder of the set.
        files: in it; row i is that of file i.
        image_size: side of the largest square that networks get, in pixels.
        options: where the cache lies, the short side of its pictures, and who is told.

    Raises:
        EnvironmentFault: the disk lacks the room, or cannot be written.
    """
    side = options.cache_size or math.ceil(image_size * ROOM_FOR_CROPS)
    if side < image_size:
        options.log(
            f"--cache-size {side} is below the image size of {image_size}: training sees enlarged pictures; leave it "
            "out, or give more"
        )
    base = options.cache or user_cache()
    place = hashlib.blake2b(f"{root.resolve()}\n{side}".encode(errors="surrogateescape"), digest_size=6).hexdigest()
    folder = base / f"{root.resolve().name}-{side}px-{place}"
    make_folder(folder)
    identity = _identity(root, files, side)
    with locked(folder, lambda: options.log(f"{folder}: another process is decoding these pictures; waiting for it")):
        found = _open(folder, identity)
        if found is None:
            _make(folder, identity, files, side, options)
            found = _open(folder, identity)
    if found is None:
        raise EnvironmentFault(f"{folder}: what was just written there reads back differently; check the disk")
    return found


class _Made(NamedTuple):
    """A chunk of decoded pictures, end to end, and what is known of each."""

    pixels: Tensor
    shapes: list[tuple[int, int]]
    originals: list[tuple[int, int]]
    largest: list[int]
    reasons: list[str]


class _Decoder(Dataset[Any]):
    """Pictures by row, reduced to the cache's size; pickled to workers."""

    def __init__(self, files: Sequence[Path], side: int, white: int = WHITE) -> None:
        self.files, self.side, self.white = tuple(files), side, white

    def __getitem__(self, row: int) -> tuple[Pixels, tuple[int, int], int, str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata and large images
                image, original, largest = decode_deep(self.files[row], self.side, self.white)
        except Unreadable as error:
            return np.zeros((0, 0, 3), np.uint8), (0, 0), 0, str(error)
        return np.asarray(_reduced(image, self.side)), original, largest, ""


def _collate(items: list[tuple[Pixels, tuple[int, int], int, str]]) -> _Made:
    images, originals, largest, reasons = map(list, zip(*items, strict=True))
    pixels = torch.from_numpy(np.concatenate([image.reshape(-1) for image in images]))
    return _Made(pixels, [image.shape[:2] for image in images], originals, largest, reasons)


def _make(folder: Path, identity: str, files: Sequence[Path], side: int, options: PhotoOptions) -> None:
    """Decode all files and write the cache, its index last."""
    # The index first: without it nothing else counts.
    for old in (folder / INDEX, *folder.iterdir()):
        if old.name != "lock":
            old.unlink(missing_ok=True)
    expected = _expected_bytes(files, side)
    what = f"the cache of {len(files):,} decoded pictures"
    options.log(f"{what} takes about {amount(expected)} in {folder}; --cache names another place")
    check_room(folder, expected, what)
    index: dict[str, NDArray[Any]] = {}

    def fill(path: Path) -> None:
        with path.open("wb") as file:
            made = list(_written(file.write, files, side, options))
            shapes = np.array([shape for chunk in made for shape in chunk.shapes], dtype=np.int64).reshape(-1, 2)
            originals = np.array([size for chunk in made for size in chunk.originals], dtype=np.int64).reshape(-1, 2)
            largest = np.array([value for chunk in made for value in chunk.largest], dtype=np.int64)
            sizes = shapes.prod(axis=1) * 3
            starts = np.cumsum(sizes) - sizes
            white = white_of(largest.tolist())
            # What is white is known only now. Few sets have such pictures, so that a second look at them costs little.
            again = _Decoder(files, side, white)
            for row in np.flatnonzero(largest) if white != WHITE else ():
                file.seek(starts[row])
                file.write(again[int(row)][0].tobytes())
        reasons = np.array([reason for chunk in made for reason in chunk.reasons], dtype=np.str_)
        index.update(starts=starts, shapes=shapes, originals=originals, largest=largest, reasons=reasons)
        index.update(white=np.array(white), identity=np.array(identity))

    try:
        write_whole(folder / PIXELS, fill)
        write_whole(folder / INDEX, lambda path: np.savez(path, **index))  # type: ignore[arg-type]
    except OSError as error:
        raise EnvironmentFault(
            f"{folder}: the decoded pictures cannot be written ({error.strerror}), about {amount(expected)}; make "
            "room, name another place by --cache, or keep smaller pictures by --cache-size"
        ) from error


def _written(
    write: Callable[[bytes], object], files: Sequence[Path], side: int, options: PhotoOptions
) -> Iterator[_Made]:
    """Write the pixels of all pictures, end to end; yield what is known of them, without their pixels."""
    rows = [list(range(first, min(first + CHUNK, len(files)))) for first in range(0, len(files), CHUNK)]
    for chunk, made in zip(rows, loaded(_Decoder(files, side), rows, _collate), strict=True):
        write(made.pixels.numpy().tobytes())
        options.progress(chunk[-1] + 1, len(files))
        yield made._replace(pixels=torch.empty(0))


def _open(folder: Path, identity: str) -> Pictures | None:
    """Return the cache in a folder; None if it is not whole, or of other files."""
    pixels = folder / PIXELS
    try:
        index = read_npz(folder / INDEX)
        size = pixels.stat().st_size
        same = str(index["identity"]) == identity and int(index["shapes"].prod(axis=1).sum()) * 3 == size
    except (OSError, ValueError, KeyError, TypeError):  # a damaged file is no cache
        return None
    if not same:
        return None
    unreadable = {int(row): str(index["reasons"][row]) for row in np.flatnonzero(index["reasons"] != "")}
    starts, shapes, originals, largest = (index[name] for name in ("starts", "shapes", "originals", "largest"))
    return Pictures(folder, starts, shapes, originals, largest, int(index["white"]), unreadable, MappedFile(pixels))


def _identity(root: Path, files: Sequence[Path], side: int) -> str:
    """Return a text that changes with the files: their names, sizes and times, and with what is made of them."""
    digest = hashlib.blake2b(f"{FORMAT} {side}".encode(), digest_size=16)
    for file in files:
        known = file.stat()
        name = str(file.relative_to(root)).encode(errors="surrogateescape")
        digest.update(b"\0%d %d " % (known.st_size, known.st_mtime_ns) + name)
    return digest.hexdigest()


def _expected_bytes(files: Sequence[Path], side: int) -> float:
    """Return about how many bytes the decoded pictures take, from the headers of some."""
    from PIL import Image

    found = []
    for row in np.linspace(0, len(files) - 1, min(SAMPLED, len(files))).astype(int):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(files[row]) as image:
                    width, height = _reduced_size(image.size, side)
        except Exception:  # the pass over all files tells why
            continue
        found.append(3 * width * height)
    return len(files) * float(np.mean(found or [0]))


def _reduced(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image

    size = _reduced_size(image.size, side)
    # A part of this is resized once more, and two bilinear steps blur more than the one that evaluation takes: what
    # training saw had 92 % of the sharpness of that. After this filter it has 100.5 %.
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _reduced_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return width and height with a short side of at most `side`, in the same proportion."""
    share = min(1.0, side / max(1, min(size)))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))
