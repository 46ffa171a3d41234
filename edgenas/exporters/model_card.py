"""MODEL_CARD.md: what the model is for, how well and how fast it was measured, and where it fails."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence

from edgenas.exporters.by_class import ByClass
from edgenas.exporters.metadata import MODELS, Measured, ModelMetadata, Precision
from edgenas.system.text import used_of_limit

MOST_SHOWN = 20  # classes of a confusion matrix in the card: a wider table cannot be read


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one blank: labels are folder names, which may hold line breaks."""
    return " ".join(text.split())


def model_card(metadata: ModelMetadata, labels: Sequence[str]) -> str:
    """Return the card as Markdown; names that come from the user's data are escaped.

    Args:
        metadata: of the model.
        labels: names of the classes.
    """
    channels, height, width = metadata.input.shape
    data = html.escape(one_line(metadata.data))
    rows = "\n".join(_row(metadata, precision, measured) for precision, measured in metadata.delivered.items())
    classes = "\n".join(f"- {html.escape(one_line(label))}" for label in labels)
    own = ", `pictures.npz` a few as small files" * metadata.input.takes_pictures
    return f"""# Model card

An image classifier that edgenas found for a budget of {metadata.budget_ms:g} ms.
The default is `{MODELS[metadata.default]}`: {metadata.reason}.

| file | latency (ms) | repeat error | test accuracy |
|---|---|---|---|
{rows}

{_latency(metadata)}{_limits(metadata)}
Accuracy is on {metadata.test_images} test images of {data}, which had no part in the search; ± is its standard error.
{_by_class(metadata, labels)}
## Intended use

One image in, one of {len(labels)} classes out:

{classes}

## Data

{data}. The training split trained the weights and calibrated int8; the validation split chose the model.
`golden.npz` holds some of the validation images as inputs{own}: look at them before you pass this on.

## Limits

- Every image gets one of these classes, also one that shows none of them.
- Accuracy falls on images that differ from the data in camera, light, framing or mix of classes: measure on your own.
- Latency holds for the device, runtime version and threads above, and for no other.
- Logits are not calibrated probabilities. Nothing was evaluated by groups of people or places.

## How to run

{textwrap.fill(_input(metadata), 120)}

```python
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, or it reports usage to its makers
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{MODELS[metadata.default]}")
print(session.run(None, {{"input": numpy.load("golden.npz")["input"][:1]}})[0])
```
"""


def _input(metadata: ModelMetadata) -> str:
    """Return what an app must do, in words."""
    channels, height, width = metadata.input.shape
    pictures = "`pictures.npz` has golden pictures as files, pixels and inputs, " * metadata.input.takes_pictures
    return (
        f"The input is float32 (1, {channels}, {height}, {width}). "
        f"A picture is, in this order: {metadata.input.words()}. "
        f"`manifest.json` has the steps and numbers as data (`input.picture_to_tensor`), {pictures}and `golden.npz` "
        "examples: `images`, the `input` made of them, and the `output` to expect."
    )


def _by_class(metadata: ModelMetadata, labels: Sequence[str]) -> str:
    """Return recall by class, a warning of classes that are never found, and the confusion matrix if it is small."""
    found = metadata.by_class
    if found is None:
        return ""
    names = [_cell(label) for label in labels]
    lines = ["", f"## Classes of the test images, by `{MODELS[metadata.default]}`", ""]
    lines += [f"Balanced accuracy, the mean of the recalls, is {found.balanced_accuracy:.2%}.", ""]
    if found.never_found:
        lost = ", ".join(names[i] for i in found.never_found)
        lines += [f"**Warning: never found though it has test images: {lost}.**", ""]
    lines += ["| class | test images | recall |", "|---|---|---|"]
    for name, images, recall in zip(names, found.images, found.recall, strict=True):
        lines.append(f"| {name} | {images} | {'no image' if recall is None else f'{recall:.1%}'} |")
    return "\n".join([*lines, *_confusion(found, names), ""])


def _confusion(found: ByClass, names: Sequence[str]) -> list[str]:
    if found.confusion is None or len(names) > MOST_SHOWN:
        return []
    lines = ["", "Rows are the true classes, columns what the model said, in the same order.", ""]
    lines += [f"| | {' | '.join(str(i + 1) for i in range(len(names)))} |", "|---" * (len(names) + 1) + "|"]
    rows = enumerate(zip(names, found.confusion, strict=True), 1)
    return lines + [f"| {i} {name} | {' | '.join(map(str, row))} |" for i, (name, row) in rows]


def _cell(label: str) -> str:
    """Return a label as a cell of a table, which a bar would end."""
    return html.escape(one_line(label)).replace("|", "&#124;")


def measured_latency(device: str, runtime: str, runtime_version: str, threads: int, unclean: bool) -> str:
    """Return the paragraph on latencies that were measured.

    Args:
        device, runtime, runtime_version, threads: where and how.
        unclean: whether the machine was too busy to tell whether the budget is met.
    """
    text = (
        f"Latency is the 10 % quantile over interleaved rounds, on {html.escape(device)},\n{runtime} "
        f"{runtime_version}, threads: {threads}. The repeat error compares two halves of the rounds."
    )
    if unclean:
        text += (
            "\nIt is unclean: other programs ran meanwhile, and whether the budget is met is not known. "
            "Measure it again\nwith `edgenas bench` and this folder."
        )
    return text


def latency_cells(measured: Measured) -> str:
    """Return latency and repeat error as cells of the table of models."""
    repeat = measured.repeat_error
    repeat_text = "unknown" if repeat is None or not math.isfinite(repeat) else f"{repeat:.1%}"
    return f"{'not measured' if measured.ms is None else f'{measured.ms:.3f}'} | {repeat_text}"


def _latency(metadata: ModelMetadata) -> str:
    if metadata.is_measured:
        conditions = metadata.device, metadata.runtime, metadata.runtime_version, metadata.threads
        return measured_latency(*conditions, unclean=metadata.met_budget is None)
    device = (
        f"{html.escape(metadata.device)},\n{metadata.runtime} {metadata.runtime_version}, threads: {metadata.threads}"
    )
    ms, low_ms, high_ms = metadata.predicted_ms
    return f"Latency was not measured yet. Predicted are {ms:.3f} ms ({low_ms:.3f} to {high_ms:.3f}) on {device}."


def _limits(metadata: ModelMetadata) -> str:
    """Return a line for each limit beside the budget."""
    if not metadata.limits:
        return ""
    lines = "\n".join(f"- {html.escape(used_of_limit(limit))}" for limit in metadata.limits)
    return f"\n\nFurther limits, and what it uses of them:\n\n{lines}\n"


def _row(metadata: ModelMetadata, precision: Precision, measured: Measured) -> str:
    share = measured.test_accuracy
    # The standard error of a share, each test image being right or wrong.
    error = math.sqrt(share * (1 - share) / metadata.test_images)
    return f"| `{MODELS[precision]}` | {latency_cells(measured)} | {share:.2%} ± {error:.2%} |"
