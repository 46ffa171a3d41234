"""MODEL_CARD.md: what the model is for, how well and how fast it was measured, and where it fails."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from edgenas.exporters.metadata import MODELS, Facts, Measured, Precision
from edgenas.system.text import used_of_limit


def one_line(text: str) -> str:
    """`text` with every run of white space as one blank: labels are folder names, which may hold line breaks."""
    return " ".join(text.split())


def model_card(facts: Facts, labels: Sequence[str]) -> str:
    """The card as Markdown; names that come from the user's data are escaped."""
    channels, height, width = facts.shape
    data = html.escape(one_line(facts.data))
    rows = "\n".join(_row(facts, precision, measured) for precision, measured in facts.delivered.items())
    classes = "\n".join(f"- {html.escape(one_line(label))}" for label in labels)
    return f"""# Model card

An image classifier that edgenas found for a budget of {facts.budget_ms:g} ms.
The default is `{MODELS[facts.default]}`: {facts.reason}.

| file | latency (ms) | repeat error | test accuracy |
|---|---|---|---|
{rows}

{_latency(facts)}{_limits(facts)}
Accuracy is on {facts.test_images} test images of {data}, which had no part in the search; ± is its standard error.

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
session = onnxruntime.InferenceSession("{MODELS[facts.default]}")
print(session.run(None, {{"input": numpy.load("golden.npz")["input"][:1]}})[0])
```
"""


def _latency(facts: Facts) -> str:
    device = f"{html.escape(facts.device)},\n{facts.runtime} {facts.runtime_version}, threads: {facts.threads}"
    if facts.is_measured:
        return (
            f"Latency is the 10 % quantile over interleaved rounds, on {device}. The repeat error compares two halves "
            "of the rounds."
        )
    ms, low_ms, high_ms = facts.predicted_ms
    return f"Latency was not measured yet. Predicted are {ms:.3f} ms ({low_ms:.3f} to {high_ms:.3f}) on {device}."


def _limits(facts: Facts) -> str:
    """A line for each limit beside the budget."""
    if not facts.limits:
        return ""
    lines = "\n".join(f"- {html.escape(used_of_limit(limit))}" for limit in facts.limits)
    return f"\n\nFurther limits, and what it uses of them:\n\n{lines}\n"


def _row(facts: Facts, precision: Precision, measured: Measured) -> str:
    share, repeat = measured.test_accuracy, measured.repeat_error
    error = math.sqrt(share * (1 - share) / facts.test_images)
    repeat_text = "unknown" if repeat is None or not math.isfinite(repeat) else f"{repeat:.1%}"
    ms = "not measured" if measured.ms is None else f"{measured.ms:.3f}"
    return f"| `{MODELS[precision]}` | {ms} | {repeat_text} | {share:.2%} ± {error:.2%} |"
