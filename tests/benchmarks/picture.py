"""Draw a run's trials as an SVG picture: accuracy against predicted latency, the Pareto front, the delivered model.

    python -m tests.benchmarks.picture RUN [--out docs/front.svg]

It needs nothing but the run folder of a search to a latency budget.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "front.svg"

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 34, 52  # margins of the plot, in pixels
# Blue, orange and grey can be told apart by colour-blind readers, and on a dark background (Okabe and Ito).
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#7f7f7f"


@dataclass(frozen=True)
class Point:
    """One trial: predicted latency in ms, accuracy by shared weights (0..1)."""

    ms: float
    accuracy: float
    feasible: bool


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return four to nine round values."""
        span = self.high - self.low
        step = next(s * 10.0**e for e in range(-6, 6) for s in (1, 2, 5) if span / (s * 10.0**e) <= 8)
        return [k * step for k in range(round(self.low / step), round(self.high / step) + 1) if self.inside(k * step)]

    def inside(self, value: float) -> bool:
        """Return whether the value is on the axis."""
        return self.low - 1e-9 <= value <= self.high + 1e-9


def main() -> None:
    """Draw the run that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=PICTURE)
    args = parser.parse_args()
    write(args.run, args.out)


def write(run: Path, out: Path) -> None:
    """Write the picture of the search in folder `run` to the file `out`."""
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    out.write_text(draw(points(trials), result), encoding="utf-8")


def points(trials: Iterable[dict[str, Any]]) -> list[Point]:
    """Return the trials that have an accuracy and a latency."""
    found = []
    for trial in trials:
        ms = next((v for name, v in trial["metrics"].items() if name.split("@")[0] == "latency_ms"), None)
        if ms is not None and "accuracy" in trial["metrics"]:
            found.append(Point(ms, trial["metrics"]["accuracy"], trial["feasible"]))
    return found


def front(found: Iterable[Point]) -> list[Point]:
    """Return the feasible points that no faster one equals in accuracy, fastest first."""
    best: list[Point] = []
    for point in sorted((p for p in found if p.feasible), key=lambda p: (p.ms, -p.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def draw(found: list[Point], result: dict[str, Any]) -> str:
    """Return the picture as SVG.

    Args:
        found: the trials.
        result: what `result.json` holds.
    """
    budget, shown = result["budget_ms"], 100.0
    x = Axis(0.0, 1.06 * max(budget, *(p.ms for p in found)), LEFT, WIDTH - RIGHT)
    accuracies = [shown * p.accuracy for p in found]
    margin = 0.08 * (max(accuracies) - min(accuracies)) or 1.0
    y = Axis(min(accuracies) - margin, min(shown, max(accuracies) + margin), HEIGHT - BOTTOM, TOP)
    best = front(found)
    delivered = min(found, key=lambda p: abs(p.ms - result["predicted_ms"]))
    path = " ".join(f"{x(p.ms):.1f},{y(shown * p.accuracy):.1f}" for p in best)
    parts = [
        *_axes(x, y),
        f'<line x1="{x(budget):.1f}" x2="{x(budget):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GREY}" '
        'stroke-dasharray="5 4"/>',
        _text(x(budget) - 6, TOP + 12, f"budget {budget:g} ms", anchor="end", colour=GREY),
        *(_dot(x(p.ms), y(shown * p.accuracy), 3.0, GREY, 0.55) for p in found),
        f'<polyline points="{path}" fill="none" stroke="{BLUE}" stroke-width="2"/>',
        *(_dot(x(p.ms), y(shown * p.accuracy), 4.5, BLUE, 1.0) for p in best),
        f'<circle cx="{x(delivered.ms):.1f}" cy="{y(shown * delivered.accuracy):.1f}" r="9" fill="none" '
        f'stroke="{ORANGE}" stroke-width="2.5"/>',
        _text(LEFT, 18, _caption(result), colour=ORANGE),
    ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _caption(result: dict[str, Any]) -> str:
    measured = result["measured_ms"]
    latency = f"{measured:.3f} ms measured" if measured is not None else f"{result['predicted_ms']:.3f} ms predicted"
    test = f"{100 * result['test_accuracy']:.1f} % of test images after its own training"
    return f"delivered: {latency}, {test}"


def _axes(x: Axis, y: Axis) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="{GREY}"/>']
    parts += [_text(x(tick), bottom + 18, f"{tick:.10g}", anchor="middle") for tick in x.ticks()]
    parts += [_text(LEFT - 8, y(tick) + 4, f"{tick:.10g}", anchor="end") for tick in y.ticks()]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "predicted latency, ms", anchor="middle"))
    middle = (TOP + bottom) / 2
    label = "accuracy by shared weights, %"
    turned = f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{label}</text>'
    return [*parts, turned]


def _dot(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="{opacity}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


if __name__ == "__main__":
    main()
