"""Commands, what they read, and the changes of that: a case by kind and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import flags
from tests.fuzz.archives import OF_NPZ
from tests.fuzz.files import SETTINGS, TEXT, Mutation, copied
from tests.fuzz.kits import OF_KITS, OF_RESULTS
from tests.fuzz.models import OF_MODELS
from tests.fuzz.pictures import OF_IMAGES
from tests.fuzz.runs import OF_CHECKPOINTS, OF_KIT_FOLDERS, OF_RUNS
from tests.fuzz.samples import CODES, DEVICE, SHAPE, SPACE, Samples

TINY = f"--space {SPACE}"
TRAIN = f"train {CODES[0]} {TINY} --final-epochs 1 --output new --json"
PHOTOS = "--data images --image-size 8 --cache decoded"
KEPT_TABLE = "cache/edgenas/tables/board/onnxruntime-1t-fp32.csv"
# Of a result in JSON: what takes time differs each time.
VOLATILE = ("seconds",)


@dataclass(frozen=True)
class Target:
    """A command on a sound input.

    Args:
        words: after `edgenas`, divided by blanks.
        sample: which input is changed, by the name of `Samples`.
        place: where a case has it.
        beside: what else it needs, by place.
        delivers: files that are its result, beside what it prints.
        measures: whether its figures are never twice the same.
        refused: exit codes for a damaged input.
        may: exit codes that are right besides: 1, where a result may miss a budget; 4, where the error says that the
            machine is noisy.
        risky: whether the input may crash the interpreter.
        slow: whether its samples, or itself, take seconds.
        script: whether it is no command of edgenas, but a script of the input.
        optional: whether there may be no such file.
    """

    words: str
    sample: str
    place: str
    beside: tuple[tuple[str, str], ...] = ()
    delivers: tuple[str, ...] = ()
    measures: bool = False
    refused: frozenset[int] = frozenset({3})
    may: frozenset[int] = frozenset()
    risky: bool = False
    slow: bool = False
    script: bool = False
    optional: bool = False

    @property
    def argv(self) -> tuple[str, ...]:
        """The words."""
        return tuple(self.words.split())


@dataclass(frozen=True)
class Case:
    """A changed input in a folder, and the command on it.

    Args:
        target: the command on the sound input.
        argv: words after `edgenas`.
        folder: where it runs.
        said: the change, in words.
        refused: exit codes that are right.
        never: whether it must be refused.
        harmless: why another result is right; empty if it is not.
        child: whether it runs in a process of its own.
    """

    kind: str
    seed: int
    target: Target
    argv: tuple[str, ...]
    folder: Path
    said: str
    refused: frozenset[int]
    never: bool = False
    harmless: str = ""
    child: bool = False


RUN, NPZ = (("run", "run"),), (("npz", "toys.npz"),)
RESULTS, TABLE, MODEL = (("results", "results.jsonl"),), (("table", "table.csv"),), (("model", "model.onnx"),)
SPECIALIZE = "specialize run --budget-ms 0.5 --trials 2 --finalists 1 --final-epochs 1"
PREDICT = f"predict --archs codes.txt {TINY} --table table.csv"
TABLES = ("tables/board/onnxruntime-1t-fp32.csv",)
USAGE, BOTH, BUDGET, NOISE = frozenset({2}), frozenset({2, 3}), frozenset({1}), frozenset({4})

# Fresh trainings cost seconds, so that most commands on a run end before there is anything to train.
FLAGS = (
    Target("list spaces", "nothing", "nothing"),
    Target(PREDICT, "codes", "codes.txt", TABLE),
    Target(f"predict --samples 3 {TINY} --table table.csv", "table", "table.csv"),
    Target("predict model.onnx --table table.csv", "table", "table.csv", MODEL),
    Target("inspect toys.npz", "npz", "toys.npz"),
    Target("inspect images --image-size 8 --cache decoded", "images", "images"),
    Target("bench model.onnx --seconds 0.1", "model", "model.onnx", measures=True, may=NOISE),
    Target("ingest results.jsonl --out tables", "results", "results.jsonl"),
    Target("adapt results.jsonl --from known.csv --precision fp32 --out tables", "known", "known.csv", RESULTS),
    Target(f"kit {TINY} --shape {SHAPE} --nets 8 --tests 0 --no-page -o new.zip", "nothing", "nothing"),
    Target("search --output run --resume --json", "run", "run", slow=True),
    Target("train --output trained --resume", "trained", "trained", slow=True),
    Target("export run --out new.onnx", "run", "run", slow=True),
    Target("ranking run --networks 3 --epochs 1", "run", "run", slow=True),
    Target(
        "specialize run --budget-ms 0.5 --trials 2 --finalists 1 --final-epochs 1 --output new", "run", "run", slow=True
    ),
    Target(
        f"baseline --budget-ms 5 --device {DEVICE} --pretrained efficientnet-lite0 --image-size 32",
        "nothing",
        "nothing",
    ),
    Target(f"profile {TINY} --shape 1x8x8 --seconds 1 --out new.csv", "nothing", "nothing", slow=True, may=NOISE),
)
CONFIGS = (
    Target("inspect digits --config config.toml", "config", "config.toml", refused=USAGE),
    Target(f"train {CODES[0]} --output new --json --config config.toml", "config", "config.toml",
           refused=USAGE, slow=True),
    Target("search --output run --resume --json --config config.toml", "config", "config.toml", RUN,
           refused=USAGE, may=BUDGET, slow=True),
    Target("search --output new --json --config config.toml", "config", "config.toml",
           refused=USAGE, may=BUDGET, slow=True),
)  # fmt: skip
OF_TABLES = (
    Target(PREDICT, "table", "table.csv", (("codes", "codes.txt"),)),
    Target(f"{PREDICT} --estimate-missing --json", "table", "table.csv", (("codes", "codes.txt"),)),
    Target("predict model.onnx --table table.csv", "table", "table.csv", MODEL),
    Target("adapt results.jsonl --from known.csv --precision fp32 --out tables", "known", "known.csv", RESULTS, TABLES),
    Target("list devices", "table", KEPT_TABLE, optional=True),
    Target(f"predict {CODES[0]} {TINY} --device board", "table", KEPT_TABLE),
)
OF_RESULTS_FILES = (
    Target("ingest results.jsonl --out tables", "results", "results.jsonl", delivers=TABLES, may=NOISE),
    Target("ingest results.jsonl --kit kit.zip --out tables", "results", "results.jsonl", (("kit", "kit.zip"),), TABLES,
           may=NOISE),
    Target("adapt results.jsonl --from known.csv --precision fp32 --out tables", "results", "results.jsonl",
           (("known", "known.csv"),), TABLES, may=NOISE),
    Target("ingest confirmed.jsonl --bundle run --json", "confirmed", "confirmed.jsonl", RUN, ("run/result.json",),
           may=BUDGET | NOISE, slow=True),
)  # fmt: skip
OF_KITS_FILES = (
    Target("ingest results.jsonl --kit kit.zip --out tables", "kit", "kit.zip", RESULTS, TABLES),
    Target("adapt results.jsonl --from known.csv --kit kit.zip --precision fp32 --out tables", "kit", "kit.zip",
           (*RESULTS, ("known", "known.csv")), TABLES),
)  # fmt: skip
OF_UNPACKED = (
    Target("ingest results.jsonl --kit kit --out tables", "kit_folder", "kit", RESULTS, TABLES),
    Target("kit/run.py --rounds 6 --patience 1 --out measured.jsonl", "kit_folder", "kit", measures=True, may=NOISE,
           script=True, slow=True),
)  # fmt: skip
OF_NPZ_FILES = (
    Target("inspect toys.npz", "npz", "toys.npz", risky=True),
    Target("inspect blobs.npz --image-size 8", "blobs", "blobs.npz", risky=True),
    Target(f"{TRAIN} --data toys.npz", "npz", "toys.npz", risky=True, slow=True),
)
OF_FOLDERS = (
    Target("inspect images --image-size 8 --cache decoded", "images", "images"),
    Target("inspect images --image-size 8 --cache decoded --strict --html page.html", "images", "images"),
    Target(f"{TRAIN} {PHOTOS}", "images", "images", slow=True),
)
OF_ONNX = (
    Target("predict model.onnx --table table.csv", "model", "model.onnx", TABLE, risky=True),
    Target("bench model.onnx --seconds 0.1", "model", "model.onnx", measures=True, may=NOISE, risky=True),
)
ON_RUNS = (
    Target("export run --out new.onnx", "run", "run", delivers=("new.onnx",), slow=True),
    Target("search --output run --resume --json", "run", "run", may=BUDGET, slow=True),
    Target(f"{SPECIALIZE} --output new --json", "run", "run", may=BUDGET, slow=True),
    Target("ranking run --networks 3 --epochs 1", "run", "run", slow=True),
    Target("bench run --seconds 0.1 --wait-minutes 0", "run", "run", measures=True, may=NOISE, slow=True),
    Target("kit --bundle run --no-page -o new.zip", "run", "run", delivers=("new.zip",), slow=True),
    Target("ingest confirmed.jsonl --bundle run --json", "run", "run", (("confirmed", "confirmed.jsonl"),),
           may=BUDGET | NOISE, slow=True),
    Target("train --output trained --resume", "trained", "trained", slow=True),
    Target("export trained --out new.onnx", "trained", "trained", delivers=("new.onnx",), slow=True),
)  # fmt: skip
ON_CODES = (
    Target(PREDICT, "codes", "codes.txt", TABLE, refused=BOTH),
    Target(f"{PREDICT} --ops --json", "codes", "codes.txt", TABLE, refused=BOTH),
)
OTHER_CODES = "other codes are other architectures, which are printed beside their figures"
OF_CODES = tuple(Mutation(m.name, m.change, m.broken, m.gone, m.harmless or OTHER_CODES) for m in TEXT)

Kind = tuple[Sequence[Target], Sequence[Mutation]]
KINDS: dict[str, Kind] = {
    "flags": (FLAGS, ()),
    "config": (CONFIGS, SETTINGS),
    "table": (OF_TABLES, TEXT),
    "results": (OF_RESULTS_FILES, OF_RESULTS),
    "kit": (OF_KITS_FILES, OF_KITS),
    "unpacked": (OF_UNPACKED, OF_KIT_FOLDERS),
    "npz": (OF_NPZ_FILES, OF_NPZ),
    "images": (OF_FOLDERS, OF_IMAGES),
    "onnx": (OF_ONNX, OF_MODELS),
    "run": (ON_RUNS, OF_RUNS),
    "checkpoint": (ON_RUNS, OF_CHECKPOINTS),
    "codes": (ON_CODES, OF_CODES),
}
CHILD_SHARE = 0.1  # of the cases whose input may crash the interpreter
RUN_CODES = frozenset({2, 3})  # a folder without settings is none of a run


def make_case(kind: str, seed: int, samples: Samples, root: Path, only: Callable[[Target], bool] = bool) -> Case:
    """Return a case, whose folder is made below `root`; the same one by the same kind and seed.

    Args:
        kind: of input, one of KINDS.
        seed: of all that is drawn.
        samples: the sound inputs.
        root: a folder.
        only: which targets may be drawn; all of them, by default.
    """
    targets, mutations = KINDS[kind]
    rng = Random(f"{kind} {seed}")
    target = rng.choice([target for target in targets if only(target)])
    folder = root / f"{kind}-{seed}"
    lay_out(target, samples, folder)
    child = target.risky and rng.random() < CHILD_SHARE
    if not mutations:
        line = flags.changed(target.argv, rng)
        harmless = "another command line is another command"
        return Case(kind, seed, target, line.argv, folder, line.said, line.refused | target.may, line.never, harmless)
    mutation = rng.choice(mutations)
    said = f"{mutation.name}: {mutation.change(folder / target.place, rng)}"
    refused = target.refused if mutation.broken else frozenset({2}) | target.refused
    harmless = mutation.harmless
    if mutation.gone:
        refused, harmless = BOTH, "no file is needed" if target.optional else ""
    return Case(kind, seed, target, target.argv, folder, said, refused | target.may, harmless=harmless, child=child)


def lay_out(target: Target, samples: Samples, folder: Path) -> None:
    """Make a folder with copies of what a command needs."""
    folder.mkdir(parents=True)
    for sample, place in ((target.sample, target.place), *target.beside):
        source = getattr(samples, sample)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        copied(source, folder / place)
