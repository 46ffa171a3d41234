"""MODEL_CARD.md: what the model is for, how well and how fast it was measured, and where it fails."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from edgenas.exporters.metadata import MODELS, Measured, ModelMetadata, Precision
from edgenas.system.text import used_of_limit


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one blank: labels are folder names, which may hold line breaks."""
    return " ".join(text.split())


def model_card(metadata: ModelMetadata, labels: Sequence[str]) -> str:
    """Return the card as Markdown; names that come from the user's data are escaped.

    Args:
        metadata: of the model.
        labels: names of the classes.
    """
    channels, height, width = metadata.shape
    data = html.escape(one_line(metadata.data))
    rows = "\n".join(_row(metadata, precision, measured) for precision, measured in metadata.delivered.items())
    classes = "\n".join(f"- {html.escape(one_line(label))}" for label in labels)
    return f"""# Model card

An image classifier that edgenas found for a budget of {metadata.budget_ms:g} ms.
The default is `{MODELS[metadata.default]}`: {metadata.reason}.

| file | latency (ms) | repeat error | test accuracy |
|---|---|---|---|
{rows}

{_latency(metadata)}{_limits(metadata)}
Accuracy is on {metadata.test_images} test images of {data}, which had no part in the search; ± is its standard error.

## Intended use

One image in, one of {len(labels)} classes out:

{classes}

## Data

{data}. The training split trained the weights and calibrated int8; the validation split chose the model.

## Limits

- Every image gets one of these classes, also one that shows none of them.
- Accuracy falls on images that differ from the data in camera, light, framing or mix of classes: measure on your own.
- Latency holds for the device, runtime version and threads above, and for no other.
- Logits are not calibrated probabilities. Nothing was evaluated by groups of people or places.

## How to run

The input is float32 (1, {channels}, {height}, {width}): resize (bilinear, antialiased), divide by 255, subtract the
mean, divide by the standard deviation. `manifest.json` has the numbers, `golden.npz` examples: `images`, the `input`
made of them, and the `output` to expect.

```python
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import, or it reports usage to its makers
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{MODELS[metadata.default]}")
print(session.run(None, {{"input": numpy.load("golden.npz")["input"][:1]}})[0])
```
"""


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
