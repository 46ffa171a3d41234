"""Fashion-MNIST under a budget: strategies on one supernet, and two controls trained alike.

    python -m tests.benchmarks.fashion --output runs/fashion [--share 0.45] [--max-params 1e5]

Controls: the feasible architecture with most MACs, found without search and trained like the finalists; and,
unless parameters are limited, torchvision's MobileNetV3-small at the largest width that meets the budget, trained on as
many images. Takes an hour or two on 2 cores; can be killed and started again with the same command.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import fill_budget, random_feasible
from edgenas.runtimes.bench import bench_in_fresh_process
from edgenas.runtimes.decide import met
from edgenas.system import plugins
from edgenas.system.progress import PlainReporter
from edgenas.system.run_folder import write_atomically
from edgenas.system.threads import configure_threads
from edgenas.training.settings import Settings, batch_size_for
from edgenas.training.train import evaluate, supervised, train
from edgenas.workflows.config import make_config
from edgenas.workflows.context import Context, never
from edgenas.workflows.given import Given
from edgenas.workflows.run_start import keep_config
from edgenas.workflows.search import search
from edgenas.workflows.setup import completed, make_task, plain_task, run_in
from edgenas.workflows.stages.bounds import measured_bounds
from edgenas.workflows.stages.deliver import test
from edgenas.workflows.stages.files import export_finalist
from edgenas.workflows.stages.finalists import train_finalist
from edgenas.workflows.stages.measured import measure_candidates
from edgenas.workflows.stages.pricing import profile
from edgenas.workflows.stages.verdict import measure
from edgenas.workflows.task import Priced
from tests.benchmarks._common import accuracy, record

STRATEGIES = ("evolution", "random", "reinforce")
SETTINGS: dict[str, Any] = {"data": "fashion-mnist", "finalists": 1, "trials": 100, "shape_choices": 2}
WIDTHS = (0.25, 0.35, 0.5, 0.6, 0.75, 1.0, 1.25)


def main() -> None:
    arguments = _arguments()
    configure_threads()
    reporter = PlainReporter(sys.stderr)
    folder = arguments.output
    strategies, most_params = arguments.strategies, arguments.max_params
    settings = SETTINGS | {"supernet_epochs": arguments.supernet_epochs, "final_epochs": arguments.final_epochs}
    settings |= {"max_params": most_params} if most_params else {}
    budget_ms = _budget(folder, settings, arguments.share, reporter)
    rows = {}
    for strategy in strategies:
        output = folder / strategy
        reuse = {} if strategy == strategies[0] else {"reuse": str(folder / strategies[0])}
        config = make_config(
            settings
            | {"budget_ms": budget_ms, "strategy": strategy, "output": str(output), "resume": output.exists()}
            | reuse
        )
        result = search(config, reporter)
        rows[strategy] = {
            "ms": result.measured_ms,
            "error": result.repeat_error,
            "validation": result.validation_accuracy,
            "test": result.onnx_test_accuracy,
            "macs": result.macs,
            "params": result.params,
            "seconds": sum(result.seconds.values()),
        }
        if strategy == strategies[0]:  # what the others take over, they would have to do alone
            shared = sum(result.seconds[stage] for stage in ("bounds", "profile", "supernet"))
        else:
            rows[strategy]["seconds"] += shared
        largest_ms = result.largest_ms
    with _reopened(folder / strategies[0], folder / "controls", settings, budget_ms, reporter) as (priced, ctx):
        rows["most MACs"] = _kept(folder / "largest.json", lambda: _largest(priced, ctx))
        if not most_params:
            rows["MobileNetV3-small"] = _kept(folder / "mobilenet.json", lambda: _mobilenet(priced, ctx))
    limit = f" and at most {most_params:,.0f} parameters" if most_params else ""
    lines = [
        f"budget {budget_ms:.3f} ms = {budget_ms / largest_ms:.0%} of the largest network's {largest_ms:.3f} ms{limit};"
        f" supernet {arguments.supernet_epochs} epochs, final {arguments.final_epochs} epochs; accuracies are of the"
        " ONNX file, with binomial standard errors",
        "",
        "| network | ms | repeat error | budget used | M MACs | parameters | validation % | test % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['ms']:.3f} | {row['error']:.1%} | {row['ms'] / budget_ms:.0%} | {row['macs'] / 1e6:.2f} "
            f"| {row['params']:,.0f} | {accuracy(row['validation'], 6000)} | {accuracy(row['test'], 10_000)} |"
        )
    best = max(strategies, key=lambda name: rows[name]["validation"])
    lines += ["", f"best by validation: {best}, {rows[best]['seconds'] / 60:.0f} minutes alone"]
    controls = [name for name in rows if name not in strategies]
    lost = [f"{s} loses to {c}" for s in strategies for c in controls if rows[s]["test"] < rows[c]["test"]]
    lines[4 + len(rows) : 4 + len(rows)] = ["", "; ".join(lost) or "no strategy loses to a control"]
    record("Fashion-MNIST, 28x28, all 60,000 training images", lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.45, help="budget, as a share of the largest network's latency")
    parser.add_argument("--max-params", type=float, help="parameters that a network may have")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, help="the first one's run trains the supernet")
    parser.add_argument("--supernet-epochs", type=int, default=2)
    parser.add_argument("--final-epochs", type=int, default=6)
    return parser.parse_args()


def _kept(path: Path, make: Any) -> dict[str, Any]:
    """A row, made once."""
    if not path.exists():
        write_atomically(path, json.dumps(make()).encode())
    return dict(json.loads(path.read_text()))


def _budget(folder: Path, settings: dict[str, Any], share: float, reporter: Any) -> float:
    """A share of the largest network's measured latency."""

    def make() -> dict[str, Any]:
        config = make_config(settings | {"output": str(folder / "bounds")})
        with run_in(replace(config, budget_ms=1e4, resume=True), reporter, never) as ctx:
            task = make_task(plain_task(replace(config, budget_ms=1e4), Given()), Given(), ctx)
            return {"budget_ms": round(share * measured_bounds(task, ctx).largest_ms, 3)}

    folder.mkdir(parents=True, exist_ok=True)
    return float(_kept(folder / "budget.json", make)["budget_ms"])


@contextmanager
def _reopened(
    source: Path, output: Path, settings: dict[str, Any], budget_ms: float, reporter: Any
) -> Iterator[tuple[Priced, Context]]:
    """The run of a strategy, with its table and problem, in a folder of its own for what is new."""
    given = settings | {"budget_ms": budget_ms, "output": str(output), "reuse": str(source)}
    config = replace(completed(make_config(given), Given()), resume=output.exists())
    with run_in(replace(config, resume=True), reporter, never) as ctx:
        keep_config(config, ctx)
        yield profile(make_task(plain_task(config, Given()), Given(), ctx), ctx), ctx


def _largest(priced: Priced, ctx: Context) -> dict[str, Any]:
    """The feasible architecture with most MACs that is measured within the budget, trained like a finalist."""
    rng, problem = ctx.rng("largest"), priced.problem
    grown = {fill_budget(problem, arch, rng) for arch in (random_feasible(problem, rng) for _ in range(60)) if arch}
    ranked = sorted(grown, key=lambda arch: -problem.preview([arch])[0]["macs"])
    measured = measure_candidates(priced, dict.fromkeys(ranked[:8], {"accuracy": 0.0}), ctx, "0")
    arch = next(arch for arch in ranked[:8] if measured[arch].met)
    evaluator: Evaluator = plugins.load("evaluators", "supernet").build(priced, ctx)
    with ctx.stage("training", "train the network with most MACs"):
        finalist = train_finalist(priced.task, evaluator, ctx, arch, 0)
    export_finalist(priced.task, finalist, 0, ctx.folder.path)
    figure, costs = measure(priced, 0, ctx).figures["fp32"], problem.preview([arch])[0]
    return {
        "ms": figure.ms,
        "error": figure.repeat_error,
        "validation": finalist.scores.accuracy,
        "test": test(priced, {0: finalist}, ctx).finalists["0"].onnx_test_accuracy,
        "macs": costs["macs"],
        "params": costs["params"],
    }


def _mobilenet(priced: Priced, ctx: Context) -> dict[str, Any]:
    """MobileNetV3-small at the largest width under the budget, trained on as many images as supernet and finalist."""
    from edgenas.cost.counts import flop_counter

    budget_ms, config, data = priced.task.budget_ms, priced.config, priced.data
    assert config.supernet_epochs and config.final_epochs
    paths = [_mobilenet_file(ctx.folder.path, width) for width in WIDTHS]
    timings = bench_in_fresh_process(paths, seconds=2.0)
    fitting = [i for i, t in enumerate(timings) if met(t.ms, t.repeat_error, budget_ms)]
    if not fitting:
        raise SystemExit(f"no width of MobileNetV3-small meets {budget_ms} ms: {[t.ms for t in timings]}")
    i = max(fitting)
    network = _mobilenet_network(WIDTHS[i]).to(memory_format=torch.channels_last)
    macs = flop_counter(network.eval(), (torch.zeros(1, 1, 28, 28),)).total()
    epochs = config.supernet_epochs + config.final_epochs
    training = Settings(epochs, batch_size_for(len(data.train)))
    with ctx.stage("training", f"train MobileNetV3-small x{WIDTHS[i]}"):
        context = ctx.training("mobilenet", {"width": WIDTHS[i]})
        train(network, supervised(network, training), data.train, training, size=28, seed=0, context=context)
    return {
        "ms": timings[i].ms,
        "error": timings[i].repeat_error,
        "validation": evaluate(network, data.validation.batches(256, size=28)).accuracy,
        "test": evaluate(network, data.test().batches(256, size=28)).accuracy,
        "macs": macs,
        "params": sum(parameter.numel() for parameter in network.parameters()),
        "width": WIDTHS[i],
    }


def _mobilenet_network(width: float) -> torch.nn.Module:
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    network = mobilenet_v3_small(width_mult=width, num_classes=10)
    first = network.features[0][0]
    network.features[0][0] = torch.nn.Conv2d(1, first.out_channels, 3, 2, 1, bias=False)
    return network


def _mobilenet_file(folder: Path, width: float) -> Path:
    """Exported by torch, because edgenas did not build it."""
    path = folder / f"mobilenet-{width}.onnx"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _mobilenet_network(width).eval(), (torch.zeros(1, 1, 28, 28),), buffer, dynamo=False, opset_version=18
        )
    path.write_bytes(buffer.getvalue())
    return path


if __name__ == "__main__":
    main()
