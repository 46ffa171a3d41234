"""What a person gives as data, resolved to the plugin that reads it and the place that it reads.

digits            a name from `edgenas list data`; a name wins over a folder of that name
photos, ./digits  a folder: the plugin `folder`
pets.npz          an .npz file, here or in $EDGENAS_DATA: the plugin `npz`
./flowers.py      a plugin in a file
package.module    a plugin in a module
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from edgenas.errors import DataError, UnknownName, UsageError
from edgenas.system import plugins


class Source(NamedTuple):
    """The name of a data plugin, and the folder or file that it reads; None leaves the place to the plugin."""

    plugin: str
    root: Path | None


def resolve(data: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Source:
    """Return the plugin that reads `data`, and the place that it reads; nothing is opened or imported.

    Args:
        data: a name, a folder, an .npz file, a plugin's file or `package.module`; a `Path` is never a name.
        root: where the files of a named data set are (`--data-root`).

    Raises:
        UnknownName: it is none of these; the nearest names are given.
        UsageError: `root` beside a path, or something that is no text and no path.
        DataError: a file that no plugin reads.

    >>> resolve("digits")
    Source(plugin='digits', root=None)
    >>> resolve("folder", "photos")
    Source(plugin='folder', root=PosixPath('photos'))
    """
    if not isinstance(data, str | os.PathLike):
        raise UsageError(f"data: {type(data).__name__} is no name and no path; give one, or (images, labels)")
    text = os.fspath(data)
    name = isinstance(data, str)
    given = Path(root).expanduser() if root is not None else None
    path = Path(text).expanduser()
    # A name wins over a folder of that name, so that the same command means the same in every folder.
    if name and text in plugins.names("data"):
        return Source(text, given)
    if path.is_dir() or text.endswith(".npz"):
        if given is not None:
            raise UsageError(f"--data {text} is a path already; leave out --data-root {given}")
        return Source("folder", path) if path.is_dir() else Source("npz", _existing(path, text))
    if path.is_file() and path.suffix != ".py":
        raise DataError(f"{text}: edgenas reads no such file; give a folder with a folder per class, or an .npz file")
    if not name and path.suffix != ".py":
        raise UnknownName(_unknown(text, "folder"))
    try:
        plugins.check("data", text)
    except UnknownName:
        raise UnknownName(_unknown(text, "data set or folder")) from None
    return Source(text, given)


def _existing(path: Path, text: str) -> Path:
    """Return an .npz file as it was given; the plugin looks for a relative one in $EDGENAS_DATA too."""
    usual = os.environ.get("EDGENAS_DATA")
    if path.is_file() or (usual and (Path(usual) / path).is_file()):
        return path
    raise UnknownName(_unknown(text, "file"))


def _unknown(text: str, what: str) -> str:
    """Return the message about a name that means nothing, with the nearest names here and among the plugins."""
    known = plugins.names("data")
    parent = Path(text).expanduser().parent
    beside = [entry for entry in _entries(parent) if entry.is_dir() or entry.suffix in (".npz", ".py")]
    places = {str(parent / entry.name) if parent != Path() else entry.name: entry for entry in beside}
    near = get_close_matches(text.rstrip("/"), [*known, *places], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}; or give a folder's path"
    return f"data: no {what} {text!r}; {hint}"


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
