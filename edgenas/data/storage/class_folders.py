"""Class folders: which files are pictures, what else lies among them, and what the classes' names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from edgenas.data.storage.decode import HEIC_EXTRA, HEIC_SUFFIXES, SUFFIXES, reads_heic
from edgenas.errors import DataError

# Names of the folders of splits, without regard to case.
FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
# Of file managers, notebooks, drives and archives; so is what begins with a dot.
LEAVINGS = frozenset(
    {"thumbs.db", "desktop.ini", "@eadir", "__macosx", "#recycle", "#snapshot", "@recycle", "$recycle.bin"}
    | {"__pycache__", "lost+found", "system volume information"}
)
OF_PROGRAMS = "left by another program"
LOOP = "a link to a folder that it lies in"
SIDES = {"left": "right", "right": "left"}
NAMED = 4  # folders that a message names

Entry = tuple[str, int, Path]  # split, class number, file
Stray = tuple[Path, str]  # a file that is not used, and why


@dataclass
class Listing:
    """The pictures in class folders.

    Args:
        classes: names, sorted.
        entries: pictures by split, class and name.
        splits: that have a folder of their own, `train` first.
        left_out: all other files.
        notices: what was decided about folders, in sentences.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    entries: list[Entry] = field(default_factory=list)
    left_out: list[Stray] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def class_names(root: Path) -> tuple[str, ...]:
    """Return the names of the classes in a folder of images, sorted; no image is read.

    Raises:
        DataError: a split has two folders, or pictures without classes.
    """
    splits = _layout(root)
    unlabelled = _unlabelled(splits)
    return _names(base for split, base in splits.items() if split != unlabelled)


def list_pictures(root: Path) -> Listing:
    """Return the pictures in class folders, and what else there is.

    Links to folders are followed. Names are compared as they print: in Unicode's form NFC.

    Args:
        root: holds a folder per class, or `train`, and perhaps `validation` and `test`, with such folders.

    Raises:
        DataError: there are no pictures that can be read, class folders hold folders of pictures, a split has two
            folders, or a class has no picture because HEIC cannot be read.
    """
    splits = _layout(root)
    unlabelled = _unlabelled(splits)
    bases = {split: base for split, base in splits.items() if split != unlabelled}
    found = Listing(_names(bases.values()), tuple(bases))
    number = {name: label for label, name in enumerate(found.classes)}
    nested: list[Path] = []
    for split, base in bases.items():
        for folder in sorted(_folders(base), key=lambda folder: (_name(folder), folder)):
            for file in _walk(folder, found.left_out, nested):
                found.entries.append((split, number[_name(folder)], file))
    if nested:
        raise DataError(_above(root, nested))
    _strays(root, splits, bases.values(), found)
    if unlabelled is not None:
        files = [f for f in sorted(splits[unlabelled].rglob("*")) if f.is_file() and not _is_leaving(f)]
        found.left_out += [(file, "without a label") for file in files]
        found.notices.append(
            f"no folder in {splits[unlabelled].name} is a class of {splits['train'].name}: its {len(files):,} files "
            "have no labels and are left out; test pictures are drawn from those of training"
        )
    _check_found(root, found)
    return found


def are_mirrored(classes: Iterable[str]) -> bool:
    """Return whether some classes differ in left and right alone: mirroring a picture would change its class.

    >>> are_mirrored(["turn left", "turn right", "stop"]), are_mirrored(["left luggage", "hat"])
    (True, False)
    """
    words = {tuple(re.findall(r"[^\W_]+", name.lower())) for name in classes}
    return any(
        set(name) & SIDES.keys() and tuple(SIDES.get(word, word) for word in name) in words - {name} for name in words
    )


def _layout(root: Path) -> dict[str, Path]:
    """The folder of each split that root defines; without folders in root/train, "train" is a class."""
    named = {split: [f for f in _folders(root) if f.name.casefold() in names] for split, names in FOLDERS.items()}
    for folders in named.values():
        if len(folders) > 1 and any(_folders(folder) for folder in folders):
            raise DataError(f"{root}: both {folders[0].name} and {folders[1].name}; keep one of them")
    splits = {split: folders[0] for split, folders in named.items() if folders}
    if "train" in splits and _folders(splits["train"]):
        return splits
    if len(splits) > 1 and len(splits) == len(_folders(root)) and not any(map(_folders, splits.values())):
        names = " and ".join(folder.name for folder in splits.values())
        raise DataError(f"{root}: {names} hold no folder per class; make one for each, with its pictures")
    return {"train": root}


def _unlabelled(splits: Mapping[str, Path]) -> str | None:
    """The name of the test split if none of its folders is a class of training, not even in another case."""
    if "test" not in splits:
        return None
    train, test = ({_name(f).casefold() for f in _folders(splits[split])} for split in ("train", "test"))
    return "test" if not train & test else None


def _names(bases: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted({_name(folder) for base in bases for folder in _folders(base)}))


def _name(folder: Path) -> str:
    """The name of a class as it prints; some drives store accents apart from their letters."""
    return normalize("NFC", folder.name)


def _walk(
    folder: Path, left_out: list[Stray], nested: list[Path], seen: frozenset[Path] = frozenset()
) -> Iterator[Path]:
    """The pictures of a class, those in folders that it links to among them."""
    seen = seen | _with_parents(folder)
    for path in sorted(folder.iterdir()):
        if _is_leaving(path):
            left_out += [(file, OF_PROGRAMS) for file in _below(path)]
        elif path.is_dir():
            if path.is_symlink() and path.resolve() in seen:
                left_out.append((path, LOOP))
            elif path.is_symlink():
                yield from _walk(path, left_out, nested, seen)
            elif any(_is_picture(file) for file in _below(path) if not _is_leaving(file)):
                nested.append(path)
            else:
                left_out += [(file, "in a folder without pictures") for file in _below(path)]
        elif not path.is_file():
            left_out.append((path, "a broken link" if path.is_symlink() else "no file"))
        elif not _is_picture(path):
            left_out.append((path, f"no picture by its name ({path.suffix.lower() or 'no suffix'})"))
        elif path.suffix.lower() in HEIC_SUFFIXES and not reads_heic():
            left_out.append((path, f"HEIC, which `{HEIC_EXTRA}` reads"))
        else:
            yield path


def _strays(root: Path, splits: Mapping[str, Path], bases: Iterable[Path], found: Listing) -> None:
    """Note what lies beside the folders of classes and splits."""
    for base in dict.fromkeys((root, *bases)):
        for path in sorted(base.iterdir()):
            if _is_leaving(path):
                found.left_out += [(file, OF_PROGRAMS) for file in _below(path)]
            elif path.is_file():
                found.left_out.append((path, "beside the folders of the classes"))
            elif _is_loop(path):
                found.left_out.append((path, LOOP))
            elif path.is_dir() and base == root and splits["train"] != root and path not in splits.values():
                files = [file for file in _below(path) if _is_picture(file)]
                if files:
                    found.notices.append(f"folder {path.name} is none of train, validation and test, and is left out")
                found.left_out += [(file, "in a folder that is no split") for file in files]


def _check_found(root: Path, found: Listing) -> None:
    heic = sum("HEIC" in reason for _, reason in found.left_out)
    notices = [f"{heic:,} HEIC pictures are left out; `{HEIC_EXTRA}` reads them"] if heic else []
    filled = {label for _, label, _ in found.entries}
    lacking = [name for label, name in enumerate(found.classes) if label not in filled]
    if found.entries and lacking and notices:
        raise DataError(f"{root}: class {lacking[0]!r} has no other pictures, and {notices[0]}")
    if not found.entries:
        raise DataError(
            f"{root}: no images found; put pictures (JPEG, PNG, WebP, TIFF, ...) in one folder per class"
            + "".join(f"; {notice}" for notice in notices)
        )
    found.notices += notices


def _above(root: Path, nested: list[Path]) -> str:
    """What is said where the folders of classes lie deeper than thought."""
    parents = {path.parent for path in nested}
    few = [str(path.relative_to(root)) for path in nested[:NAMED]]
    listed = ", ".join([*few, "..."] if len(nested) > NAMED else few)
    name = next((s for s in ("validation", "test") if any(p.name.casefold() in FOLDERS[s] for p in parents)), None)
    if len(parents) == 1:
        step = f"if these are the classes, give {parents.pop()}; else put all pictures of a class into its own folder"
    elif name is not None:
        step = "a split needs a folder named train beside it"
    else:
        step = "put all pictures of a class into its own folder"
    return f"{root}: class folders hold folders of pictures ({listed}); {step}"


def _is_leaving(path: Path) -> bool:
    return path.name.startswith(".") or path.name.casefold() in LEAVINGS


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _with_parents(folder: Path) -> frozenset[Path]:
    place = folder.resolve()
    return frozenset({place, *place.parents})


def _is_loop(path: Path) -> bool:
    """Tell whether it is a link to a folder that it lies in: no class, for all others lie below it."""
    return path.is_symlink() and path.is_dir() and path.resolve() in _with_parents(path.parent)


def _below(path: Path) -> list[Path]:
    """A file, or the files in a folder; links to folders are not followed."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _folders(base: Path) -> list[Path]:
    return sorted(path for path in base.iterdir() if path.is_dir() and not _is_leaving(path) and not _is_loop(path))
