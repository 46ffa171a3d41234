"""Changes of a folder of images."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz import hostile
from tests.fuzz.files import ANY, Mutation

OTHER_FOLDER = "a folder of other images is another data set"
NAMES = (
    *("a\nb", "\x1b[31mred", "\u202egnp", "cafe\u0301", "caf\u00e9", "<script>", " ", "%s", "-q", "Q" * 250),
    *("caf\udce9", "train", "test"),  # the first is how a name in Latin 1 is read
)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _picked(folder: Path, rng: Random) -> Path:
    return rng.choice(_files(folder))


def file_changed(folder: Path, rng: Random) -> str:
    """Do to one picture what may be done to any file."""
    path, mutation = _picked(folder, rng), rng.choice(ANY)
    return f"{path.relative_to(folder)}: {mutation.change(path, rng)}"


def many_changed(folder: Path, rng: Random) -> str:
    return "; ".join(file_changed(folder, rng) for _ in range(3))


def odd_picture(folder: Path, rng: Random) -> str:
    """Put a picture of an odd kind in place of one."""
    path, how = _picked(folder, rng), rng.choice(list(_ODD))
    path.write_bytes(_ODD[how](rng))
    return f"{path.relative_to(folder)}: {how}"


def class_emptied(folder: Path, rng: Random) -> str:
    chosen = rng.choice(sorted(folder.iterdir()))
    for path in _files(chosen):
        path.unlink()
    return f"{chosen.name} is empty"


def class_removed(folder: Path, rng: Random) -> str:
    chosen = rng.choice(sorted(folder.iterdir()))
    shutil.rmtree(chosen)
    return f"no {chosen.name}"


def class_of_few(folder: Path, rng: Random) -> str:
    chosen, few = rng.choice(sorted(folder.iterdir())), rng.randrange(1, 4)
    for path in _files(chosen)[few:]:
        path.unlink()
    return f"{chosen.name} has {few}"


def all_removed(folder: Path, rng: Random) -> str:
    shutil.rmtree(folder)
    folder.mkdir()
    return "an empty folder"


def copied_elsewhere(folder: Path, rng: Random) -> str:
    """Put pictures of one class into the other, too."""
    one, other = rng.sample(sorted(folder.iterdir()), 2)
    few = _files(one)[: rng.choice((1, 3, 100))]
    for path in few:
        shutil.copyfile(path, other / f"copy-{path.name}")
    return f"{len(few)} of {one.name} also in {other.name}"


def splits_made(folder: Path, rng: Random) -> str:
    """Put all into `train`, with some of them in a second split as well, or with a class that is only there."""
    train = folder / rng.choice(("train", "Train", "training"))
    classes = sorted(folder.iterdir())
    train.mkdir()
    for path in classes:
        path.rename(train / path.name)
    split = folder / rng.choice(("test", "val", "Validation", "holdout"))
    how = rng.randrange(3)
    split.mkdir()
    if how < 2:
        shutil.copytree(train / classes[0].name, split / (classes[0].name if how else "eel"))
    return f"{train.name} and {split.name} with {('another class', 'copies', 'nothing')[how]}"


def links_made(folder: Path, rng: Random) -> str:
    path = _picked(folder, rng)
    target = rng.choice(("/etc/hostname", str(folder), "..", "nowhere.png", path.name))
    path.unlink()
    path.symlink_to(target)
    return f"{path.relative_to(folder)} is a link to {target}"


def pipe_made(folder: Path, rng: Random) -> str:
    path = _picked(folder, rng)
    path.unlink()
    os.mkfifo(path)
    return f"{path.relative_to(folder)} is a pipe"


def renamed(folder: Path, rng: Random) -> str:
    path, name = rng.choice((_picked(folder, rng), rng.choice(sorted(folder.iterdir())))), rng.choice(NAMES)
    path.rename(path.with_name(name + path.suffix))
    return f"{path.relative_to(folder)} is named {name!r}"


def stray_files(folder: Path, rng: Random) -> str:
    names = rng.sample(
        ("notes.txt", "Thumbs.db", ".hidden.png", "model.onnx", "manifest.json", "deep/er/x.png", "x.csv"), 2
    )
    for name in names:
        path = rng.choice((folder, *sorted(folder.iterdir()))) / name
        path = path if path.parent.is_dir() or "deep" in name else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.choice((b"text", _png(rng))))
    return f"beside them {', '.join(names)}"


def file_in_place(folder: Path, rng: Random) -> str:
    shutil.rmtree(folder)
    folder.write_bytes(rng.choice((b"", b"text", _png(rng))))
    return "a file"


def no_folder(folder: Path, rng: Random) -> str:
    shutil.rmtree(folder)
    return "no folder"


def _encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def _noise(rng: Random, *shape: int) -> np.ndarray:
    return np.random.default_rng(rng.randrange(2**31)).integers(0, 256, shape, dtype=np.uint8)


def _picture(rng: Random) -> Image.Image:
    return Image.fromarray(_noise(rng, 20, 24, 3))


def _png(rng: Random) -> bytes:
    return _encoded(_picture(rng), "PNG")


def _claims(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


_ODD: dict[str, Callable[[Random], bytes]] = {
    "1 x 1": lambda rng: _encoded(Image.fromarray(_noise(rng, 1, 1, 3)), "PNG"),
    "1 x 3000": lambda rng: _encoded(Image.fromarray(_noise(rng, 1, 3000, 3)), "PNG"),
    "16 bits": lambda rng: _encoded(Image.fromarray(_noise(rng, 9, 9).astype(np.uint16) * 257), "PNG"),
    "reals": lambda rng: _encoded(Image.fromarray(_noise(rng, 9, 9).astype(np.float32)), "TIFF"),
    "CMYK": lambda rng: _encoded(_picture(rng).convert("CMYK"), "JPEG"),
    "palette": lambda rng: _encoded(_picture(rng).convert("P"), "GIF"),
    "one bit": lambda rng: _encoded(_picture(rng).convert("1"), "PNG"),
    "see-through": lambda rng: _encoded(_picture(rng).convert("RGBA"), "PNG"),
    "animated": lambda rng: _encoded(_picture(rng), "GIF", save_all=True, append_images=[_picture(rng)]),
    "turned": lambda rng: _encoded(
        _picture(rng), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    ),
    "cut off": lambda rng: (whole := _encoded(_picture(rng), "JPEG"))[: rng.randrange(1, len(whole))],
    "text": lambda rng: rng.choice((b"this is no picture\n", b"<svg/>", hostile.LETTER.encode() * 5000)),
    "huge by its head": lambda rng: _claims(*rng.choice(((60_000, 60_000), (2**31 - 1, 1), (0, 5), (12_000, 12_000)))),
}
OF_IMAGES = (
    *(Mutation("one file", file_changed),) * 4,
    Mutation("many files", many_changed),
    *(Mutation("odd picture", odd_picture, harmless=OTHER_FOLDER),) * 4,
    Mutation("empty class", class_emptied, harmless=OTHER_FOLDER),
    Mutation("missing class", class_removed),
    Mutation("class of few", class_of_few, harmless=OTHER_FOLDER),
    Mutation("empty folder", all_removed),
    Mutation("copies", copied_elsewhere),
    Mutation("splits", splits_made, harmless=OTHER_FOLDER),
    Mutation("links", links_made),
    Mutation("pipe", pipe_made),
    *(Mutation("names", renamed, harmless=OTHER_FOLDER),) * 2,
    Mutation("stray files", stray_files),
    Mutation("file in place", file_in_place, gone=True),
    Mutation("no folder", no_folder, gone=True),
)
