"""Put latencies that were measured later into a bundle: into the card first, and into the manifest last."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgenas.errors import DataError, UsageError
from edgenas.exporters.bundle import MANIFEST
from edgenas.exporters.metadata import Measured
from edgenas.exporters.model_card import latency_cells, measured_latency
from edgenas.system.file_index import check, write_kept
from edgenas.system.records import Json, parsed_object

CARD = "MODEL_CARD.md"
# Before it is measured on its device, a bundle keeps the conditions under the second name.
CONDITIONS = ("measured_on", "not_measured_on")


@dataclass(frozen=True)
class KeptBundle:
    """What a bundle says of its models.

    Args:
        models: what is known of each model, by file.
        default: the file to use.
        budget_ms: the most that it may take; None if there is no budget.
        device, runtime, threads: where and how its latency counts.
    """

    folder: Path
    models: Mapping[str, Measured]
    default: str
    budget_ms: float | None
    device: str
    runtime: str
    threads: int


def read_kept(folder: Path) -> KeptBundle:
    """Return what a bundle says of its models, whose files must be those of the manifest, as must the card.

    Raises:
        UsageError: there is no manifest.
        DamagedRun: it is not as the run wrote it.
        DataError: it is none of a bundle, or a model or the card was altered.
    """
    check(folder / MANIFEST)
    manifest = _manifest(folder)
    try:
        models = {str(name): _measured(row) for name, row in manifest["models"].items()}
        conditions = next(manifest[name] for name in CONDITIONS if name in manifest)
        for name in (*models, CARD):
            data = (folder / Path(name).name).read_bytes()  # a manifest of somebody else may name a path elsewhere
            if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
                raise DataError(f"{folder}: {name} is not that of the manifest; copy the bundle, or export, again")
        return KeptBundle(
            folder,
            models,
            str(manifest["default"]["file"]),
            conditions["budget_ms"],
            str(conditions["device"]),
            str(conditions["runtime"]),
            int(conditions["threads"]),
        )
    except (OSError, KeyError, TypeError, AttributeError, StopIteration, ValueError) as error:
        raise DataError(f"{folder}: not a whole bundle ({error}); give the folder of a search") from error


def write_latencies(bundle: KeptBundle, found: Mapping[str, Measured], version: str, met_budget: bool | None) -> None:
    """Write what was measured into card and manifest.

    Args:
        bundle: as it was read.
        found: latencies by file; their accuracies stay those of the bundle.
        version: of the runtime.
        met_budget: whether the model that the budget is for keeps it.
    """
    folder, manifest = bundle.folder, _manifest(bundle.folder)
    card = (folder / CARD).read_text(encoding="utf-8")
    for name, measured in found.items():
        row = rf"^\| `{re.escape(name)}` \| [^|\n]* \| [^|\n]* \|"
        card = re.sub(row, f"| `{name}` | {latency_cells(measured)} |", card, flags=re.MULTILINE)
        figures = {"ms": measured.ms, "p90_ms": measured.p90_ms, "repeat_error": measured.repeat_error}
        manifest["models"][name] |= {**figures, "clean": measured.clean}
    text = measured_latency(bundle.device, bundle.runtime, version, bundle.threads, unclean=met_budget is None)
    # The paragraph ends before an empty line, or before what it shares a block with.
    card = re.sub(r"^Latency (is|was) .*?(?=\n\n|\nAccuracy is )", lambda _: text, card, flags=re.MULTILINE | re.DOTALL)
    conditions = next(manifest.pop(name) for name in CONDITIONS if name in manifest)
    manifest |= {"measured_on": {**conditions, "runtime_version": version}, "met_budget": met_budget}
    manifest["sha256"][CARD] = hashlib.sha256(card.encode()).hexdigest()
    write_kept(folder / CARD, card.encode())
    write_kept(folder / MANIFEST, (json.dumps(manifest, allow_nan=False, indent=2, sort_keys=True) + "\n").encode())


def remeasured(before: Measured, ms: float, p90_ms: float, repeat_error: float) -> Measured:
    """Return a model's figures with another, clean latency."""
    # JSON has no infinity, which is what the error is where one half of the rounds had no figure.
    error = repeat_error if math.isfinite(repeat_error) else None
    return replace(before, ms=ms, p90_ms=p90_ms, repeat_error=error, clean=True)


def _measured(row: Json) -> Measured:
    return Measured(row["ms"], row["p90_ms"], row["repeat_error"], row["test_accuracy"], row.get("clean", True))


def _manifest(folder: Path) -> Json:
    try:
        return parsed_object((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise UsageError(f"{folder}: no bundle, as it has no {MANIFEST}; give a run folder or an ONNX file") from error
    except ValueError as error:
        raise DataError(f"{folder}: its {MANIFEST} is damaged ({error}); search again, with a new --output") from error
