"""The page's measurement by itself, in Node, with models that cost nothing and a clock that counts its readings."""

import json
import shutil
import subprocess
from importlib.resources import files

import pytest

SLOTS, GROUP = 24, 150
SCRIPT = """
import { Measurement } from "./measure.mjs";

let { count, stopAfter, bad, noisy, slotsOfKit } = JSON.parse(process.argv[2]);
globalThis.document = { hidden: false };
let open = 0, most = 0, now = 0;
const session = () => ({
  inputMetadata: [], outputMetadata: [], inputNames: [], outputNames: [],
  run: async () => ({}),
  release: async () => { open--; },
});
const ort = { InferenceSession: { create: async (bytes) => {
  if (bad.includes(bytes[0])) throw new Error("bad model");
  most = Math.max(most, ++open);
  return session();
} } };
const gauges = { now: () => (now += noisy && slots % 2 ? 3 : 1), tick: 0.01, cpu: null, switches: () => 0 };
const probes = Array.from({ length: count }, (_, index) => ({ index, file: String(index), inEverySlot: index < 2 }));
const kit = { probes, slots: slotsOfKit ?? undefined, read: async (name) => Uint8Array.of(Number(name)) };

const lines = [], told = [];
let slots = 0;
const save = async (slot, these) => {
  if (slots === stopAfter) {
    stopAfter = -1;
    throw new Error("power cut");
  }
  slots++;
  lines.push(...these);
};
const measure = () => new Measurement(kit, ort, gauges, lines, save, (...far) => told.push(far)).run();
await measure().catch(() => measure());
console.log(JSON.stringify({ lines, told, open, most }));
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on the PATH")
    folder = tmp_path_factory.mktemp("modules")
    for package, names in (
        ("edgenas.runtimes.web", ["sessions.mjs"]),
        ("edgenas.devices.page", ["kit.mjs", "measure.mjs"]),
    ):
        for name in names:
            (folder / name).write_bytes(files(package).joinpath(name).read_bytes())
    (folder / "run.mjs").write_text(SCRIPT)

    def run(count, stop_after=-1, bad=(), noisy=False, slots=None):
        told = {"count": count, "stopAfter": stop_after, "bad": list(bad), "noisy": noisy, "slotsOfKit": slots}
        asked = json.dumps(told)
        done = subprocess.run(
            [node, folder / "run.mjs", asked], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("stop_after", [-1, 0, 5, 8, 29])
def test_every_probe_has_all_slots_once_each_with_its_reference(measured, stop_after):
    count = GROUP + 12
    told = measured(count, stop_after)
    rounds = {(line["probe"], line["slot"]): line["session"] for line in told["lines"]}
    assert len(rounds) == len(told["lines"]), "no round twice"
    slots = [{slot for probe, slot in rounds if probe == number} for number in range(count)]
    assert slots[0] == slots[1] == set(range(2 * SLOTS)), "two groups, and the first two probes in both"
    assert all(len(these) == SLOTS for these in slots[2:])
    assert slots[2 + GROUP] == set(range(SLOTS, 2 * SLOTS))
    sessions = [rounds[2, slot] for slot in sorted(slots[2])]
    assert sessions == [0] * 8 + [1] * 8 + [2] * 8
    assert told["open"] == 0 and told["most"] == GROUP + 2
    assert told["told"][-1] == [GROUP * SLOTS + 10 * SLOTS] * 2


@pytest.mark.parametrize("stop_after", [-1, 3, 40])
def test_while_figures_repeat_badly_there_are_more_rounds(measured, stop_after):
    lines = measured(6, stop_after, noisy=True)["lines"]
    rounds = {(line["probe"], line["slot"]) for line in lines}
    assert len(rounds) == len(lines) == 6 * 3 * SLOTS
    assert {line["session"] for line in lines} == set(range(9))


def test_a_kit_says_how_many_rounds_it_wants(measured):
    lines = measured(5, slots=30)["lines"]
    assert len(lines) == 5 * 30
    assert [sum(line["session"] == s for line in lines) for s in range(3)] == [50, 50, 50]


def test_the_order_is_drawn_again_in_each_round(measured):
    lines = measured(12)["lines"]
    orders = {tuple(line["probe"] for line in lines if line["slot"] == slot) for slot in range(SLOTS)}
    assert len(orders) > SLOTS / 2


@pytest.mark.parametrize("stop_after", [-1, 3])
def test_a_model_that_does_not_load_is_noted_once_and_ends_nothing(measured, stop_after):
    lines = measured(6, stop_after, bad=[4])["lines"]
    assert [line["error"] for line in lines if line["probe"] == 4] == ["bad model"]
    assert all(sum(line["probe"] == probe for line in lines) == SLOTS for probe in (0, 1, 2, 3, 5))
