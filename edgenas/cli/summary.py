"""How a person reads a result: one short table and the Pareto front, in plain text."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from edgenas.system import text
from edgenas.system.metric import Metric
from edgenas.workflows.result import Result

WIDTH = 100  # columns, where the terminal has as many: longer lines are hard to read
FRONT_ROWS = 12  # points of the front that are shown, so that all fits on a screen
BAR = 12  # columns of a bar


def summary(
    result: Result,
    front: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    images: Mapping[str, int] | None = None,
    width: int = WIDTH,
) -> str:
    """Return what a person wants to know after a search.

    Args:
        result: of the search.
        front: `latency_ms`, `accuracy`, `macs`, `params` and `arch` of each point.
        notes: of the run, a paragraph each.
        images: sizes of the `validation` and `test` splits, from which the standard errors follow.
        width: columns of a line, at most.
    """
    blocks = [_verdict(result), text.table(None, _facts(result, images or {}))]
    if front:
        blocks.append(_front(result, front, width))
    lines = [textwrap.fill(f"note: {text.printable(note)}", width, subsequent_indent="  ") for note in notes]
    if lines:
        blocks.append("\n".join(lines))
    if is_open(result):
        blocks.append("\n".join(next_step(result)))
    return "\n\n".join(blocks) + "\n"


def is_open(result: Result) -> bool:
    """Tell whether nobody knows if the model meets the budget that there is."""
    return result.measured_ms is None or (result.met_budget is None and result.budget_ms is not None)


def next_step(result: Result) -> list[str]:
    """Return what a person types to have a model measured of which nobody knows whether it meets the budget.

    The device was not at hand, or too busy.
    """
    folder = text.printable(shlex.quote(result.bundle))
    if result.measured_ms is not None:
        return ["To have it measured again when the machine is quiet:", f"  edgenas bench {folder}"]
    there = f"python run.py --threads {result.threads} --out confirmed.jsonl"
    if result.runtime.startswith("onnxruntime-web"):
        there = "open index.html in its browser, and save the results file as confirmed.jsonl"
    return [
        f"To have it measured on {text.printable(result.device)}:",
        f"  edgenas kit --bundle {folder} -o confirm.zip",
        f"  # unpack confirm.zip there; then, in its folder: {there}",
        f"  edgenas ingest confirmed.jsonl --bundle {folder}",
    ]


def _verdict(result: Result) -> str:
    if result.measured_ms is None:
        low, high = text.ms(result.predicted_low_ms), text.ms(result.predicted_high_ms)
        return (
            f"Budget not confirmed: {text.ms(result.predicted_ms)} ms predicted ({low} to {high}), "
            f"{result.budget_ms:g} ms allowed; nothing was measured on {text.printable(result.device)}."
        )
    measured = f"{_latency(result)} measured"
    if result.budget_ms is None:
        return f"No budget was given: {measured}."
    if result.met_budget is None:
        return (
            f"Budget not confirmed: {measured} while other programs ran, {result.budget_ms:g} ms allowed; the "
            "measurement is unclean."
        )
    if result.met_budget:
        return f"Budget met: {measured}, {result.budget_ms:g} ms allowed."
    predicted = f"{text.ms(result.predicted_ms)} ms predicted"
    return f"Budget missed: {measured}, {predicted}, {result.budget_ms:g} ms allowed."


def _facts(result: Result, images: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return pairs of what and how much."""
    r, test = result, images.get("test")
    low, high = text.ms(r.predicted_low_ms), text.ms(r.predicted_high_ms)
    threads = f"{r.threads} thread" + "s" * (r.threads > 1)
    validation = text.accuracy(r.validation_accuracy, images.get("validation"))
    pairs = [
        ("model", f"{r.bundle.rstrip('/')}/{r.file}"),
        ("latency", _measured(r)),
        ("", f"predicted {text.ms(r.predicted_ms)} ms ({low} to {high})"),
        ("", _reach(r)),
        ("device", f"{r.device}, {r.runtime}, {threads}, {r.precision}"),
        ("accuracy", f"test {text.accuracy(r.test_accuracy, test)}, validation {validation}"),
        ("", f"the exported file: test {text.accuracy(r.onnx_test_accuracy, test)}"),
        *_by_class(r),
        ("int8", f"{text.ms(r.int8_measured_ms)} ms, test {text.accuracy(r.int8_test_accuracy, test)}"),
        ("size", f"{text.count(r.macs)} MACs, {text.count(r.params)} parameters"),
        ("", f"file {text.size(r.file_bytes)}, activations {text.size(r.peak_bytes)} at their peak"),
        # The word stands before the first limit alone, and not at all without one: the shorter of both ends it.
        *zip(["limits", *[""] * len(r.limits)], map(text.used_of_limit, r.limits), strict=False),
        ("search", f"{r.strategy} with {r.evaluator} on {r.data}, seed {r.seed}"),
        *([("", f"on the weights of {r.source}")] if r.source else []),
        *_controls(r, images.get("validation")),
        ("", f"{r.trials} trials, {r.feasible_trials} of them feasible"),
        ("time", _time(r.seconds)),
        ("arch", f"{r.space} {r.arch}"),
    ]
    return [("  " + name, text.printable(value)) for name, value in pairs if name != "int8" or r.int8_measured_ms]


def _controls(result: Result, images: int | None) -> list[tuple[str, str]]:
    """Return what networks reach that no search was needed for, one a line."""
    lines = [
        f"{name}: {text.ms(float(row['latency_ms']))} ms, "
        f"validation {text.accuracy(float(row['validation_accuracy']), images)}"
        for name, row in result.controls.items()
    ]
    return list(zip(["controls", *[""] * len(lines)], lines, strict=False))


def _by_class(result: Result) -> list[tuple[str, str]]:
    """Return the line that tells of the worst class, where there are figures by class."""
    known = {name: recall for name, recall in result.recall.items() if recall is not None}
    if result.balanced_accuracy is None or not known:
        return []
    worst = min(known, key=lambda name: known[name])
    balanced = text.percent(result.balanced_accuracy)
    return [("", f"balanced {balanced}; of {worst!r}, the worst class, {text.percent(known[worst])} are found")]


def _reach(result: Result) -> str:
    """Return the least and the most that networks take, of those that were looked at.

    Weights of another run reach no further than the sizes that were trained there, which its note names. The delivered
    model counts as well: the smallest network by the bytes that it moves may be measured a little slower.
    """
    known = [result.smallest_ms, result.predicted_ms if result.measured_ms is None else result.measured_ms]
    reach = f"from {text.ms(min(known))} to {text.ms(max(*known, result.largest_ms))} ms"
    if result.source:
        return f"the sizes that its weights were trained for reach {reach}, whatever the space has beside them"
    return f"this space reaches {reach}"


def _measured(result: Result) -> str:
    if result.measured_ms is None:
        return "not measured"
    p90 = "" if result.measured_p90_ms is None else f", 90 % of runs within {text.ms(result.measured_p90_ms)} ms"
    used = f", {text.percent(result.measured_ms / result.budget_ms, 0)} of the budget" if result.budget_ms else ""
    return f"{_latency(result)}{p90}{used}"


def _latency(result: Result) -> str:
    """Return the measured latency, never without its repeat error."""
    error = "unknown" if result.repeat_error is None else text.percent(result.repeat_error)
    return f"{text.ms(result.measured_ms)} ms ± {error}"


def _time(seconds: Mapping[str, float]) -> str:
    # The four longest stages tell where the time went, and the line stays short.
    longest = sorted(seconds, key=lambda stage: -seconds[stage])[:4]
    parts = ", ".join(f"{stage} {text.duration(seconds[stage])}" for stage in longest)
    return text.duration(sum(seconds.values())) + (f" ({parts})" if parts else "")


def _front(result: Result, front: Sequence[Mapping[str, Any]], width: int) -> str:
    """Return the front as a table, fastest first; what is too wide for the terminal is left out, never cut."""
    points = sorted(front, key=lambda point: float(point["latency_ms"]))
    shown = _thinned(points, FRONT_ROWS, result.arch)
    mine = result.delivered
    is_beside = mine is not None and all(point["arch"] != result.arch for point in points)
    shown += [mine] if is_beside and mine is not None else []
    # Bars are full at the budget, or at the slowest point where there is none.
    whole_ms = result.budget_ms or float(points[-1]["latency_ms"])
    columns = {
        "ms": text.ms_column([point["latency_ms"] for point in shown]),
        "of budget" if result.budget_ms else "of longest": [text.bar(p["latency_ms"] / whole_ms, BAR) for p in shown],
        "accuracy": [text.percent(point["accuracy"]) for point in shown],
        "agreement": [text.percent(point["agreement"]) for point in shown if "agreement" in point],
        "MACs": [text.count(point["macs"]) for point in shown],
        "params": [text.count(point["params"]) for point in shown],
        "arch": [text.printable(point["arch"]) for point in shown],
    }
    if not columns["agreement"]:  # cuts of a teacher have it alone
        del columns["agreement"]
    for spare in ("params", "MACs"):
        # Two blanks before each column, or the mark before the first.
        if sum(2 + max(map(len, [head, *cells])) for head, cells in columns.items()) > width:
            del columns[spare]
    rows = list(zip(*columns.values(), strict=True))
    # Numbers are flush right, the last column never: that is the architecture, wherever it has come to.
    head, *lines = text.table(list(columns), rows, right={0, 2, 3, 4, 5} - {len(columns) - 1}).splitlines()
    marks = ["* " if point["arch"] == result.arch else "  " for point in shown]
    marked = [mark + line for mark, line in zip(marks, lines, strict=True)]
    if is_beside:
        marked.insert(-1, "not on the front, as a point of it is better by these figures:")
    many = f"{FRONT_ROWS} of {len(points)} points" if len(points) > FRONT_ROWS else f"{len(points)} point"
    many += "s" * (1 < len(points) <= FRONT_ROWS)
    beside = " (each further limit counts as well)" if result.limits else ""
    figures = f"predicted latency, validation accuracy by the {result.evaluator} evaluator"
    title = f"Pareto front, {many}{beside}: {figures}"
    legend = ["* the model that was delivered"] if "* " in marks else []
    if result.reference_point:
        legend += textwrap.wrap(text.printable(_volume(result)), width)
    return "\n".join([*textwrap.wrap(text.printable(title), width), "  " + head, *marked, *legend])


def _volume(result: Result) -> str:
    """Return the hypervolume, and the point that bounds it."""
    corner = []
    for name, value in result.reference_point.items():
        metric = Metric.parse(name)
        if metric.quantity in ("accuracy", "agreement"):
            corner.append(f"{text.percent(value, 2)} {metric.quantity}")
        elif metric.table:
            upper = " as the upper end" * (metric.quantity == "latency_high_ms")
            corner.append(f"{text.ms(value)} ms{upper} on {metric.table}")
        else:
            corner.append(f"{text.figure(name, value)} {text.WHAT.get(name, name)}")
    quality = "agreement" if "agreement" in result.reference_point else "accuracy"
    share = f"hypervolume {text.percent(result.hypervolume)} of the box up to 100 % {quality} at no cost"
    return f"{share}; reference point, the worst of feasible trials: {', '.join(corner)}"


def _thinned(points: Sequence[Mapping[str, Any]], most: int, arch: str) -> list[Mapping[str, Any]]:
    """Return at most `most` points, spread evenly, with both ends and the delivered one."""
    if len(points) <= most:
        return list(points)
    kept = {round(i * (len(points) - 1) / (most - 1)) for i in range(most)}
    mine = next((i for i, point in enumerate(points) if point["arch"] == arch), 0)
    if mine not in kept:
        # The delivered one takes the place of its nearest neighbour that is no end.
        kept.remove(min(kept - {0, len(points) - 1}, key=lambda i: abs(i - mine)))
        kept.add(mine)
    return [points[i] for i in sorted(kept)]
