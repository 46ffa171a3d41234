"""Few probes and many rows: the kit chosen by source devices, and the tables that its results become."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from edgenas.cli import main as cli
from edgenas.devices.general_probes import general_ops
from edgenas.devices.kit import read_manifest
from edgenas.devices.source_devices import Scope, source_tables
from edgenas.errors import NoisyMachine, TableError, UnknownName, UsageError
from edgenas.graph.graph import Node
from edgenas.latency import registry as devices
from edgenas.latency.missing_ops import op_kind
from edgenas.latency.predictor import latency_interval
from edgenas.latency.registry import own_tables, table_name, table_path
from edgenas.latency.table import LatencyTable, NetRow, read_table, write_table
from edgenas.spaces.sampling import distinct_nodes
from edgenas.system.progress import SilentReporter
from edgenas.workflows.adapt import adapt as to_tables
from edgenas.workflows.config import make_config
from edgenas.workflows.kit import reduced_kit
from edgenas.workflows.kit_content import KitOptions
from tests._toys import Shared, all_archs
from tests.latency.tables import HEADER, op_row

SPACE = Shared()
NARROW = SPACE.restrict({"width": [0]})
NODES = {node.key: node for node in distinct_nodes(SPACE)}
PROBES, ROUNDS, EMPTY_MS, PAIR_MS = 6, 6, 0.01, 0.03
KINDS = sorted({op_kind(key) for key in NODES})


def op_ms(node: Node, rates: np.ndarray) -> float:
    row = op_row(node)
    return float(rates[KINDS.index(op_kind(node.key))] @ [row.macs / 1e7, row.bytes / 1e8, 0.004])


def device(name: str, seed: int, unit: float = 1.0, **header: str) -> LatencyTable:
    """The table of a random device: rates by kind of op; a network takes 0.8 of the sum of its ops."""
    rates = unit * np.random.default_rng(seed).lognormal(0.0, 0.7, (len(KINDS), 3))
    times = {key: op_ms(node, rates) for key, node in NODES.items()}
    ops = {key: replace(op_row(node), ms=times[key]) for key, node in NODES.items()}
    nets = []
    for arch in all_archs(SPACE):
        ms = 0.8 * sum(times[node.key] for node in SPACE.graph(arch).priced)
        nets.append(NetRow(SPACE.spec, SPACE.code(arch), ms, ms, 100))
    return LatencyTable({**HEADER, "device": name, **header}, ops, tuple(nets))


SOURCES = [
    *(device(f"board-{seed}", seed, precision=p) for p in ("fp32", "int8") for seed in range(4)),
    device("board-0", 7, threads="2"),
]


@pytest.fixture(scope="module", autouse=True)
def tables(tmp_path_factory):
    """This user's tables: four source boards. None comes with edgenas."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "shipped_tables", lambda: tmp_path_factory.mktemp("shipped"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for table in SOURCES:
            write_table(table_path(own_tables(), table), table)
        yield own_tables()


@pytest.fixture
def no_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return own_tables()


def make(path, **changes):
    request = {"shape": (3, 8, 8), "classes": 4, "only": {"width": ["4"]}, **changes}
    count = request.pop("count", PROBES)
    config = make_config({"space": "tests._toys", "seed": 0})
    options = KitOptions(**request)
    return reduced_kit(config, SilentReporter(), options, count=count, known=["all"], out=path, page=False)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    path = tmp_path_factory.mktemp("kit") / "few.zip"
    make(path)
    return path


def measure(kit, path, truth, **changes):
    """Results as a device that follows `truth`, a table for each precision, would leave them."""
    manifest = read_manifest(kit)
    first = next(iter(truth.values())).header
    header = {**first, "threads": int(first["threads"]), "kit": manifest["kit"], **changes}
    lines = [{"kit": manifest["kit"], "header": header, "manifest": manifest}]
    for slot in range(ROUNDS):
        for i, probe in enumerate(manifest["probes"]):
            if probe["kind"] == "reference" or probe["precision"] in truth:
                ms = probe_ms(probe, truth)
                lines.append({"probe": i, "session": 0, "slot": slot, "ms": ms, "runs": 9, "clean_share": 1.0})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def probe_ms(probe, truth):
    match probe["kind"]:
        case "op":
            hidden = 0.5 * PAIR_MS * sum(map(len, probe["pairs"])) if probe["precision"] == "int8" else 0.0
            return EMPTY_MS + hidden + truth[probe["precision"]].ops[probe["id"]].ms
        case "net":
            nets = {f"{net.spec} {net.code}": net.ms for net in truth[probe["precision"]].nets}
            return nets[probe["id"]]
        case kind:
            return {"reference": 1.0, "empty": EMPTY_MS, "pair": EMPTY_MS + PAIR_MS}[kind]


def scaled(name="new", seed=1, unit=3.0, **header):
    """A device like one of the source devices, `unit` times slower."""
    return {p: device(name, seed, unit, precision=p, **header) for p in ("fp32", "int8")}


@pytest.fixture(scope="module")
def results(kit, tmp_path_factory):
    return measure(kit, tmp_path_factory.mktemp("results") / "results.jsonl", scaled())


def adapt(results, out, **changes):
    return to_tables(results, **{"known": ["all"], "precisions": ("fp32", "int8"), "out": out, **changes})


# The kit


def test_the_kit_holds_what_was_asked_and_what_it_is_net_of(kit):
    manifest = read_manifest(kit)
    assert manifest["probes"][0]["kind"] == "reference"
    for precision in ("fp32", "int8"):
        probes = [probe for probe in manifest["probes"][1:] if probe["precision"] == precision]
        kinds = [probe["kind"] for probe in probes]
        assert kinds.count("op") + kinds.count("net") == PROBES and kinds.count("empty") == 1
        shapes = {shape for probe in probes for side in probe.get("pairs", ()) for shape in side}
        assert {probe["id"] for probe in probes if probe["kind"] == "pair"} == (
            shapes if precision == "int8" else set()
        )
        assert all(name.endswith(precision) for name in manifest["known"][precision])
    assert len(manifest["known"]["fp32"]) == 5


def test_its_probes_are_of_the_narrowed_space(kit):
    keys = {node.key for node in distinct_nodes(NARROW)}
    for probe in read_manifest(kit)["probes"]:
        assert probe["kind"] != "op" or probe["id"] in keys
        assert probe["kind"] != "net" or SPACE.parse(probe["id"].split()[-1])[0] == 0


def test_the_same_kit_is_the_same_file(kit, tmp_path):
    make(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == kit.read_bytes()


def test_a_general_kit_holds_general_ops(no_tables, tmp_path):
    nodes = {node.key: node for node in general_ops()}
    for i, unit in enumerate((1.0, 2.0)):
        ops = {key: replace(op_row(node), ms=unit * op_row(node).ms) for key, node in nodes.items()}
        table = LatencyTable({**HEADER, "device": f"board-{i}"}, ops)
        write_table(table_path(no_tables, table), table)
    manifest = make(tmp_path / "few.zip", general=True, precisions=("fp32",))
    keys = [probe["id"] for probe in manifest["probes"] if probe["kind"] == "op"]
    assert len(keys) == PROBES and set(keys) <= nodes.keys()


# The tables


def test_a_scaled_copy_of_a_source_device_is_adapted_within_a_few_percent(results, tmp_path):
    for path, table in adapt(results, tmp_path):
        precision, truth = table.header["precision"], scaled()[table.header["precision"]]
        assert path == tmp_path / f"new/onnxruntime-1t-{precision}.csv"
        assert set(table.ops) == {node.key for node in distinct_nodes(NARROW)} and len(table.nets) == 8
        times = {net.code: net.ms for net in truth.nets}
        errors = [abs(row.ms / truth.ops[key].ms - 1) for key, row in table.ops.items()]
        assert np.median(errors) < 0.03
        assert np.mean([abs(net.ms / times[net.code] - 1) for net in table.nets]) < 0.05
        assert sum(row.runs > 0 for row in (*table.ops.values(), *table.nets)) == PROBES
        assert table.header["adapted"].startswith(f"{PROBES} probes from board-0 (onnxruntime 1t {precision}), board")
        assert table.adapted_margin > 0 and set(read_table(path).ops) == set(table.ops)


def test_its_interval_is_wider_by_its_margin(results, tmp_path):
    _, table = adapt(results, tmp_path)[0]
    plain = replace(table, header={k: v for k, v in table.header.items() if not k.startswith("adapted")})
    widths = [[cost(NARROW.graph((0, 0, 0, 0))) for cost in latency_interval(t, NARROW)] for t in (table, plain)]
    (ms, low, high), (_, least, most) = widths
    assert low < least <= ms <= most < high
    assert high - most == pytest.approx(table.adapted_margin * ms, rel=1e-6)


def test_one_precision_is_adapted_alone(results, kit, tmp_path):
    assert [path.name for path, _ in adapt(results, tmp_path, precisions=("int8",))] == ["onnxruntime-1t-int8.csv"]
    half = measure(kit, tmp_path / "half.jsonl", {"fp32": scaled()["fp32"]})
    assert [path.name for path, _ in adapt(half, tmp_path)] == ["onnxruntime-1t-fp32.csv"]
    with pytest.raises(UsageError, match="nothing was measured in int8"):
        adapt(half, tmp_path, precisions=("int8",))


def test_more_measured_rows_are_not_replaced_by_predicted_ones(results, tmp_path):
    adapt(results, tmp_path)
    adapt(results, tmp_path)  # its own output is
    write_table(tmp_path / "new/onnxruntime-1t-int8.csv", scaled()["int8"])
    before = (tmp_path / "new/onnxruntime-1t-fp32.csv").stat().st_mtime_ns
    with pytest.raises(TableError, match="measured rows would be lost .* --out"):
        adapt(results, tmp_path)
    assert (tmp_path / "new/onnxruntime-1t-fp32.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"known": ["nowhere"]}, UnknownName, "no such device or file; there are board-0, board-1"),
        ({"known": ["bord-1"]}, UnknownName, "there are board-1"),
        ({"known": ["board-0/onnxruntime-2t-fp32"], "precisions": ("int8",)}, UsageError, "no int8 table to be found"),
        ({"known": ["{adapted}"], "precisions": ("fp32",)}, UsageError, "no fp32 table that is not adapted itself"),
        ({"known": ["{own}"], "precisions": ("fp32",)}, UsageError, "of another device than the new one"),
        ({"known": ["{foreign}"], "precisions": ("fp32",)}, UsageError, "with ops of the kit's space"),
        ({"kit": "{other}"}, TableError, "another kit"),
    ],
)
def test_faults_are_named_and_nothing_is_written(results, tmp_path, change, error, words):
    files = {name: tmp_path / f"{name}.csv" for name in ("adapted", "own", "foreign")}
    write_table(files["adapted"], replace(SOURCES[0], header={**SOURCES[0].header, "adapted": "3 probes from x"}))
    write_table(files["own"], device("new", 3))
    write_table(files["foreign"], replace(SOURCES[0], ops={"add | 9x9x9": SOURCES[0].ops[next(iter(NODES))]}, nets=()))
    make(tmp_path / "other.zip", count=PROBES + 1)
    if "kit" in change:
        change = {"kit": tmp_path / "other.zip"}
    else:
        change = {**change, "known": [word.format(**files) for word in change["known"]]}
    with pytest.raises(error, match=words):
        adapt(results, tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_without_source_devices_there_is_no_kit_and_no_table(results, no_tables, tmp_path):
    for command in (lambda: adapt(results, tmp_path / "out"), lambda: make(tmp_path / "kit.zip")):
        with pytest.raises(UsageError, match="--from all: no fp32 table to be found; `edgenas list devices`"):
            command()
    assert not (tmp_path / "out").exists() and not (tmp_path / "kit.zip").exists()


def test_noisy_or_strange_results_are_refused_as_ingest_does(results, tmp_path):
    head, *rounds = map(json.loads, results.read_text().splitlines())
    noisy = tmp_path / "noisy.jsonl"
    noisy.write_text("\n".join(json.dumps(line) for line in (head, *({**row, "clean_share": 0.1} for row in rounds))))
    with pytest.raises(NoisyMachine):
        adapt(noisy, tmp_path / "out")
    strange = tmp_path / "strange.jsonl"
    strange.write_text(json.dumps({**head, "header": {**head["header"], "unit": "s"}}))
    with pytest.raises(TableError, match="unit is 's'"):
        adapt(strange, tmp_path / "out")


# Which tables are learned from

SCOPE = Scope({node.key: node for node in distinct_nodes(NARROW)}, NARROW)


def names(*words, new=None):
    return [table_name(table) for table in source_tables(words, SCOPE, "fp32", new)]


def test_all_are_those_with_enough_in_common_and_not_the_new_device_itself(no_tables):
    few = replace(SOURCES[1], ops=dict(list(SOURCES[1].ops.items())[:2]))
    no_nets = replace(SOURCES[2], nets=())
    adapted = replace(SOURCES[3], header={**SOURCES[3].header, "adapted": "3 probes from x", "adapted_margin": "0.1"})
    for table in (*SOURCES[:1], *SOURCES[4:], few, no_nets, adapted):
        write_table(table_path(no_tables, table), table)
    (no_tables / "board-0" / "torn.csv").write_text("# unit: ms\n")
    both = ["board-0/onnxruntime-1t-fp32", "board-0/onnxruntime-2t-fp32"]
    assert names("all") == both
    assert names("all", new=device("board-0", 9)) == both[1:]
    assert names("board-2") == ["board-2/onnxruntime-1t-fp32"]  # named, few rows in common are enough
    assert names("board-0/onnxruntime-2t-fp32", "board-0") == both[::-1]


def test_tables_are_restricted_to_the_narrowed_space():
    for table in source_tables(["all"], SCOPE, "int8"):
        assert table.ops.keys() == SCOPE.nodes.keys() < NODES.keys()
        assert {SPACE.parse(net.code)[0] for net in table.nets} == {0} and len(table.nets) == 8


def test_a_network_of_another_version_of_the_space_is_left_out():
    old = replace(SOURCES[0], nets=(*SOURCES[0].nets, NetRow(SPACE.spec, "00000000", 1.0, 1.0, 9)))
    assert SCOPE.restrict(old).nets == SCOPE.restrict(SOURCES[0]).nets


# From the command line


def test_from_kit_to_prediction_by_commands(tables, any_noise, tmp_path, capsys):
    space = ["--space", "tests._toys", "--shape", "3x8x8", "--classes", "4"]
    zipped, out = tmp_path / "few.zip", tmp_path / "results.jsonl"
    only = ["--only", "width=4", "--no-page", "--probes", "4", "--from", "board-0", "--from", "board-1"]
    assert cli.main(["kit", *space, *only, "-o", str(zipped), "-q"]) == 0
    assert "edgenas adapt RESULTS.jsonl" in capsys.readouterr().out
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "kit")
    run = [
        sys.executable,
        str(tmp_path / "kit/run.py"),
        "--rounds",
        str(ROUNDS),
        "--patience",
        "1",
        "--name",
        "real",
        "--out",
        str(out),
    ]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0 and "edgenas adapt results.jsonl" in done.stdout, done.stderr
    words = ["adapt", str(out), "--kit", str(zipped), "--from", "all"]
    assert cli.main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["precision"] for row in shown] == ["fp32", "int8"]
    path = tables / "real/onnxruntime-1t-fp32.csv"
    assert shown[0]["path"] == str(path) and shown[0]["measured"] == 4 and shown[0]["predicted"] > 10
    assert cli.main(words) == 0
    assert f"real, fp32: 4 rows measured, {shown[0]['predicted']} predicted within ± " in capsys.readouterr().out
    assert cli.main(["list", "devices"]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if "±" in line]
    assert [line.split()[0] for line in marked] == ["real/onnxruntime-1t-fp32", "real/onnxruntime-1t-int8"]
    assert cli.main(["predict", *space, "--device", "real", "0000", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert row["high_ms"] - row["low_ms"] > 2 * shown[0]["margin"] * row["latency_ms"] * 0.9


def test_from_without_probes_is_refused(capsys):
    assert cli.main(["kit", "--from", "all"]) == 2
    assert "for example --probes 10" in capsys.readouterr().err
