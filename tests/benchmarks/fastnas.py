"""The cuts of a search beside those of FastNAS (Model-Optimizer): one teacher, the same photos, as long a training.

    python -m tests.benchmarks.fastnas RUN --output DIR [--shares 0.7 0.6 0.5 ...] [--dry]

RUN is the folder of a search with `--pretrained efficientnet-lite0` (or 1, 2) that has ended. FastNAS prunes the run's
teacher to shares of its FLOPs, the largest first, until the pruned network is measured within the run's budget. This
one is trained as a finalist is, by the teacher's soft labels on the same parts of the photos. Both files are measured
in one run, and compared on the test photos. What FastNAS has measured is kept in DIR. It needs nvidia-modelopt, which
is no part of the project: install it beside edgenas, in an environment of its own.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgenas.data.base import Split
from edgenas.exporters.metadata import MODELS
from edgenas.exporters.session import outputs
from edgenas.graph.ops import Conv
from edgenas.nn.network import Layer, Network
from edgenas.pretrained.families.efficientnet_lite import Conv2dSame
from edgenas.runtimes.bench import bench
from edgenas.system.threads import configure_threads
from edgenas.training.context import TrainingContext
from edgenas.training.distillation import Teacher
from edgenas.training.train import evaluate, train
from edgenas.workflows.config import make_config, read_run
from edgenas.workflows.given import Given
from edgenas.workflows.pretrained import open_pretrained
from edgenas.workflows.setup import checked_names, plain_task
from edgenas.workflows.stages.finalists import final_settings
from edgenas.workflows.task import Task
from edgenas.workflows.trained_networks import trained_teacher
from tests.benchmarks._common import accuracy, record, result_of

CALIBRATED = 4  # batches that batch norm is re-estimated on, for each network that is looked at
BATCH = 64
SHARES = tuple(round(0.9 - 0.05 * i, 2) for i in range(16))  # of the teacher's FLOPs


def main() -> None:
    """Prune, train, measure, and record."""
    configure_threads()  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--dry", action="store_true", help="print only, without a block in docs/results.md")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    result = result_of(arguments.run)
    assert result is not None and result.budget_ms is not None and result.measured_ms is not None
    config = checked_names(make_config(read_run(arguments.run) | {"resume": True}), Given())
    task = plain_task(config, Given())
    teacher = trained_teacher(arguments.run, task)
    assert teacher is not None
    started = time.monotonic()
    pruned, share = pruned_within(arguments, task, teacher, result.budget_ms)
    searched = (time.monotonic() - started) / 60
    right_before = accuracy(*scored(pruned, task.data.validation, teacher.side))
    started = time.monotonic()
    fine_tune(task, teacher, pruned, arguments.output / "fine-tuned.pt")
    trained = (time.monotonic() - started) / 60
    validation = accuracy(*scored(pruned, task.data.validation, teacher.side))
    files = {"FastNAS": exported(pruned, teacher.side, arguments.output / "fastnas.onnx")}
    files["edgenas"] = arguments.run / MODELS["fp32"]
    measured = dict(zip(files, bench(list(files.values()), wait_s=60.0), strict=True))
    right = {name: right_photos(task, path, side_of(path)) for name, path in files.items()}
    lines = [
        f"budget {result.budget_ms:.3f} ms; FastNAS at {share:.0%} of the teacher's FLOPs: {searched:.1f} minutes of "
        f"search, {trained:.1f} of training; on validation {right_before} before it, {validation} after",
        "",
        "| | measured ms | repeat error | test % |",
        "|---|---|---|---|",
    ]
    for name, row in measured.items():
        share_right = accuracy(float(np.mean(right[name])), len(right[name]))
        lines.append(f"| {name} | {row.ms:.3f} | {row.repeat_error:.1%} | {share_right} |")
    difference = right["edgenas"].astype(int) - right["FastNAS"].astype(int)
    error = float(difference.std(ddof=1) / math.sqrt(len(difference)))
    lines += [
        "",
        f"edgenas {100 * difference.mean():+.2f} points, standard error of the paired difference {100 * error:.2f}",
    ]
    print("\n".join(lines)) if arguments.dry else record("Beside FastNAS", lines)


def pruned_within(
    arguments: argparse.Namespace, task: Task, teacher: Teacher, budget_ms: float
) -> tuple[nn.Module, float]:
    """Return the largest pruned network that is measured within the budget, and its share of the FLOPs."""
    import modelopt.torch.prune as mtp

    side = teacher.side
    batches = [x for x, _ in task.data.train.batches(BATCH, size=side, epoch=0, limit=CALIBRATED)]
    settings = {
        "data_loader": batches,
        "collect_func": lambda x: x,
        "max_iter_data_loader": CALIBRATED,
        "score_func": lambda network: scored(network, task.data.validation, side)[0],
        "checkpoint": str(arguments.output / "fastnas.pth"),  # what each choice costs is looked at once
    }
    for share in arguments.shares:
        module = as_module(task, teacher.network)
        shape = torch.zeros(1, 3, side, side)
        found, _ = mtp.prune(module, "fastnas", {"flops": f"{100 * share:g}%"}, shape, settings)
        path = exported(found, side, arguments.output / "candidate.onnx")
        (row,) = bench([path], wait_s=60.0)
        print(f"{share:.0%} of the FLOPs: {row.ms:.3f} ms, repeat error {row.repeat_error:.1%}", flush=True)
        if row.ms * (1 + row.repeat_error) <= budget_ms:
            return cast(nn.Module, found.to(memory_format=torch.channels_last)), share
    raise SystemExit("FastNAS found nothing within the budget")


def as_module(task: Task, network: Network) -> nn.Module:
    """Return the teacher as a module of plain layers, which gives the same logits."""
    found = open_pretrained(task.config)
    assert found is not None
    module: Any = found.module()
    module.classifier = nn.Linear(module.classifier.in_features, len(task.data.classes))
    side = network.graph.input.shape[1]
    # Each layer of ours is one layer of its own and, but for the last, its batch norm.
    plain = iter([m for m in module.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)])
    for layer in (layer for layer in network.layers if isinstance(layer, Layer) and layer.names):
        tensors = layer.tensors()
        m: Any = next(plain)
        assert not isinstance(layer.op, Conv) or layer.op.kernel == m.kernel_size[0]
        m.weight.data.copy_(tensors["weight"])
        if "scale" not in tensors:
            m.bias.data.copy_(tensors["bias"])
            continue
        norm: Any = next(plain)
        for name, own in (("scale", norm.weight), ("shift", norm.bias)):
            own.data.copy_(tensors[name])
        norm.running_mean.copy_(tensors["mean"])
        norm.running_var.copy_(tensors["variance"])
    unpad(module, side)
    module.eval()
    x = torch.randn(4, 3, side, side)
    with torch.no_grad():
        assert torch.allclose(module(x), network.eval()(x), atol=1e-4), "the module is not the teacher"
    return cast(nn.Module, module)


def unpad(module: nn.Module, side: int) -> None:
    """Replace convolutions that pad as TensorFlow does by a padding and a plain one; sides stay even up to the last."""
    for name, child in list(module.named_children()):
        if not isinstance(child, Conv2dSame):
            unpad(child, side)
            continue
        kernel, stride = child.kernel_size[0], child.stride[0]
        total = kernel - stride
        ends = total // 2, total - total // 2
        plain = nn.Conv2d(
            child.in_channels,
            child.out_channels,
            kernel,
            stride,
            ends[0] if stride == 1 else 0,
            groups=child.groups,
            bias=False,
        )
        plain.weight = child.weight
        setattr(module, name, plain if stride == 1 else nn.Sequential(nn.ZeroPad2d((*ends, *ends)), plain))


def fine_tune(task: Task, teacher: Teacher, module: nn.Module, path: Path) -> None:
    """Train as a finalist is trained: on the teacher's soft labels, on the same parts of the photos."""

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        loss = F.cross_entropy(module(x), teacher.labels(x))
        loss.backward()
        return loss.detach()

    settings, context = final_settings(task), TrainingContext(path)
    train(module, gradients, task.data.train, settings, size=teacher.side, seed=task.config.seed, context=context)


def scored(network: nn.Module, split: Split, side: int) -> tuple[float, int]:
    """Accuracy, 0 to 1, and the number of images."""
    found = evaluate(network, split.batches(BATCH, size=side))
    return found.accuracy, found.images


def exported(module: nn.Module, side: int, path: Path) -> Path:
    """Write an ONNX file as PyTorch does."""
    module.eval()
    torch.onnx.export(module, (torch.zeros(1, 3, side, side),), str(path), dynamo=False, input_names=["input"])
    return path


def side_of(path: Path) -> int:
    """Side of the images that a model takes, in pixels."""
    import onnx

    return int(onnx.load(path).graph.input[0].type.tensor_type.shape.dim[-1].dim_value)


def right_photos(task: Task, path: Path, side: int) -> np.ndarray:
    """Whether a model is right, of each test photo."""
    model = path.read_bytes()
    batches = task.data.test().batches(BATCH, size=side)
    return np.concatenate([outputs(model, x.contiguous().numpy()).argmax(1) == y.numpy() for x, y in batches])


if __name__ == "__main__":
    main()
