"""What holds the house: floors, sizes, tests beside the code, and heavy libraries only where they are needed.

`python -m tests.benchmarks.structure` prints the numbers.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgenas
from edgenas.system import plugins
from tests.benchmarks import structure
from tests.benchmarks._code import FLOOR, FLOORS, MOST_IMPORTS, MOST_LINES, Package, cycles, layer_map

PACKAGE = Package(Path(edgenas.__file__).parent)
MOST_FREE_FORM = 40  # `dict[str, Any]` in the package: JSON and state dicts, not records
LEAST_MIRRORED = 0.9  # share of source files with a test file of their name

HEAVY = ("torch", "torchvision", "onnx", "onnxruntime", "scipy", "sklearn", "fvcore", "PIL", "plotly", "ray")
# Modules and folders that may import torch when they are imported. Another heavy library is imported when it is called
# for, but for what reads images, which is imported to do so.
MAY_NEED_TORCH = (
    *("data", "nn", "pretrained", "training", "evaluators", "strategies", "testing", "system.checkpoint"),
    "api.contracts",
    *(f"workflows.{name}" for name in ("search", "specialize", "inherit", "ranking", "train", "export", "confirm")),
    *("workflows.inspect", "workflows.trained_run", "workflows.trained_networks", "workflows.trained_weights"),
    "workflows.stages",
)
LIGHT_ALL_THE_SAME = (
    *("data", "nn", "evaluators", "strategies", "strategies.random", "strategies.evolution"),
    *("training", "training.settings", "training.context"),
)
# What needs nothing but Python: it is imported for every command, and copied to devices.
STANDARD_LIBRARY = ("errors", "graph.ops", "graph.graph", "system.plugins", "system.text", "devices.runner")


def own(name: str) -> str:
    return f"edgenas.{name}"


def test_there_are_modules_on_every_floor():
    assert PACKAGE.unknown_rooms() == [], "place them in FLOORS, where design and imports want them"
    found = {FLOOR[module.room] for module in PACKAGE.modules.values()}
    assert found == set(range(len(FLOORS)))


def test_imports_go_down():
    assert PACKAGE.upward() == []


def test_folders_of_one_floor_do_not_know_each_other():
    assert PACKAGE.sideways() == []


def test_every_import_of_our_own_exists():
    missing = {name: sorted(others - set(PACKAGE.modules)) for name, others in PACKAGE.imports.items()}
    assert {name: others for name, others in missing.items() if others} == {}


def test_the_layer_map_is_the_list_of_floors():
    assert layer_map() in (edgenas.__doc__ or ""), f"the docstring of edgenas/__init__.py shows\n\n{layer_map()}"


def test_there_is_no_import_cycle():
    assert PACKAGE.module_cycles() == [] and PACKAGE.room_cycles() == []


@pytest.mark.parametrize(
    "arrows, found",
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"e"}, "e": {"f"}, "f": {"d"}}, [["b", "c"], ["d", "e", "f"]]),
    ],
)
def test_cycles_are_found(arrows, found):
    assert cycles(arrows) == found


def test_private_modules_stay_in_their_folder():
    assert PACKAGE.private_imports() == []


def test_a_module_imports_few_others():
    assert {name: n for name, n in PACKAGE.most_imports().items() if n > MOST_IMPORTS} == {}


def test_a_file_can_be_read_in_one_sitting():
    assert {name: n for name, n in PACKAGE.long_files().items() if n > MOST_LINES} == {}


def test_records_have_names():
    found = PACKAGE.free_form()
    assert sum(found.values()) <= MOST_FREE_FORM, f"dict[str, Any]: {found}"


def test_tests_mirror_the_source():
    assert PACKAGE.mirrored_share() >= LEAST_MIRRORED, f"no test beside {PACKAGE.without_test()}"


def test_every_function_is_typed():
    assert [name for name, f in PACKAGE.functions() if f.annotated < f.parameters] == []


def test_every_public_name_has_an_example():
    assert PACKAGE.without_example() == []


PLUGINS = [(kind, own(f"{kind}.{name.replace('-', '_')}")) for kind in plugins.KINDS for name in plugins.names(kind)]


def test_there_are_plugins_of_every_kind():
    assert {kind for kind, _ in PLUGINS} == set(plugins.KINDS)


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_plugins_do_not_import_their_kind(kind):
    """Neither does what they share, which lies in folders beside them."""
    files = {module for each, module in PLUGINS if each == kind}
    kin = [name for name in PACKAGE.modules if name.startswith(f"{own(kind)}.")]
    assert {name: PACKAGE.imports[name] & files for name in kin if PACKAGE.imports[name] & files} == {}


@pytest.mark.parametrize("module", STANDARD_LIBRARY)
def test_the_ground_is_the_standard_library(module):
    foreign = {name.split(".")[0] for name in PACKAGE.all_imports[own(module)]}
    assert foreign - set(sys.stdlib_module_names) - {"edgenas"} == set()


def may_need_torch(module: str) -> bool:
    name = module.removeprefix("edgenas.")
    within = any(name == prefix or name.startswith(f"{prefix}.") for prefix in MAY_NEED_TORCH)
    return within and name not in LIGHT_ALL_THE_SAME


def test_heavy_libraries_are_imported_by_those_who_need_them():
    """One child imports every module, the light ones first, and reports what came along."""
    every = sorted(PACKAGE.modules, key=may_need_torch)
    light = [module for module in every if not may_need_torch(module)]
    assert {"edgenas", "edgenas.cli.main", "edgenas.latency.predictor", "edgenas.spaces.mbconv"} <= set(light)
    script = f"""
import importlib, json, sys
loaded = {{}}
for module in {[module for module in every if not module.endswith("__main__")]!r}:
    before = set(sys.modules)
    importlib.import_module(module)
    loaded[module] = [name for name in {HEAVY!r} if name in set(sys.modules) - before]
print(json.dumps(loaded))
"""
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=PACKAGE.root
    )
    assert child.returncode == 0, child.stderr
    loaded = {module: set(heavy) for module, heavy in json.loads(child.stdout).items() if heavy}
    assert [module for module, heavy in loaded.items() if "torch" in heavy and not may_need_torch(module)] == []
    others = {module: heavy - {"torch"} for module, heavy in loaded.items() if heavy - {"torch"}}
    assert others in ({}, {"edgenas.workflows.model": {"PIL"}})


def test_the_numbers_can_be_printed():
    found = structure.numbers(PACKAGE)
    assert found["cycles of modules"] == "0" and re.fullmatch(r"\d+ of \d+", found["public names with an example"])


def test_time_is_measured_by_clocks_that_nobody_sets_back():
    """The date alone is of the wall clock: it names runs and tables."""
    for module in PACKAGE.modules.values():
        calls = [node for node in ast.walk(ast.parse(module.path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        named = {ast.unparse(call.func) for call in calls}
        assert not named & {"time.time", "time.time_ns"}, module.name
        assert "datetime.datetime.now" not in named or module.name == own("workflows.setup"), module.name
