"""The device kit: one zip with probes, a manifest and a runner that needs Python 3.9, numpy and onnxruntime alone."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from edgenas.devices.ingest import LONGEST_LINE
from edgenas.devices.probes import Probe
from edgenas.devices.runner import MANIFEST, kit_hash
from edgenas.errors import DataError, EnvironmentFault, UsageError
from edgenas.system import plugins
from edgenas.system.file_index import write_atomically
from edgenas.system.records import Json, parsed_object
from edgenas.system.text_file import read_text, text_of

# Runs on the device as it stands here; a test holds these files to Python 3.9 and to numpy and onnxruntime.
SOURCES = (
    "errors.py",
    "devices/progress_line.py",
    "devices/runner.py",
    "runtimes/base.py",
    "runtimes/host.py",
    "runtimes/onnxruntime.py",
    "runtimes/rounds.py",
    "runtimes/summary.py",
    "runtimes/timing.py",
)
RUN = '''"""Measure this kit's probes here: `python run.py`; `python run.py --help` has the rest."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))
sys.dont_write_bytecode = True

from edgenas.devices.runner import main  # noqa: E402

sys.exit(main(HERE))
'''
# The time of every file in the zip, so that equal kits are equal files.
EPOCH = (2020, 1, 1, 0, 0, 0)


def write_kit(
    path: Path,
    probes: Iterable[Probe],
    facts: Mapping[str, object],
    page: Mapping[str, bytes],
    progress: Callable[[int, str], None] = lambda done, text: None,
) -> Json:
    """Write the zip; return its manifest, whose `kit` is the hash of all that is measured.

    Args:
        path: the zip to write.
        probes: what is measured, the reference first.
        facts: what else goes into the manifest, such as space and seed.
        page: the files that run the kit in a browser, by name in the zip; empty for none.
        progress: called with the number of probes written and the kind of the last one.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    entries = []
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, probe in enumerate(probes):
            file = f"probes/{number:04d}.onnx"
            digest = hashlib.sha256(probe.model).hexdigest()
            head = {"file": file, "sha256": digest, "kind": probe.kind, "id": probe.id, "precision": probe.precision}
            entries.append({**head, **probe.entry})
            _add(archive, file, probe.model)
            progress(number + 1, f"{probe.precision} {probe.kind}")
        # The hash stands first, where a person looks for it; it is of everything but itself.
        manifest = {"kit": "", **facts, "probes": entries}
        manifest["kit"] = kit_hash(manifest)
        _add(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
        _add(archive, "run.py", RUN.encode())
        for name, part in page.items():
            _add(archive, name, part)
        for source in SOURCES:
            _add(archive, f"code/edgenas/{source}", (plugins.PACKAGE / source).read_bytes())
        for folder in ("", "devices/", "runtimes/"):
            _add(archive, f"code/edgenas/{folder}__init__.py", b'"""The part of edgenas that runs on a device."""\n')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot be written ({error.strerror}); choose another -o") from error
    return manifest


def read_manifest(path: Path) -> Json:
    """Read the manifest of a kit, a zip or the folder that it was unpacked to.

    Raises:
        UsageError: there is no such file.
        DataError: it is no kit, or a damaged one.
    """
    try:
        if path.is_dir():
            text = read_text(path / MANIFEST, LONGEST_LINE)
        else:
            with zipfile.ZipFile(path) as archive:
                if (size := archive.getinfo(MANIFEST).file_size) > LONGEST_LINE:  # some bytes can unpack to all memory
                    raise DataError(f"{path}: its {MANIFEST} has {size:,} bytes, which no kit's has; make it again")
                text = text_of(archive.read(MANIFEST), LONGEST_LINE)
        return parsed_object(text)
    except OSError as error:
        raise UsageError(f"{path}: no device kit ({error.strerror}); make one with `edgenas kit`") from error
    except (KeyError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: no device kit, or a damaged one ({error}); make one with `edgenas kit`") from error


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
