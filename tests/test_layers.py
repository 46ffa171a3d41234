"""Imports go down only, plugins do not know each other, and what needs no torch starts without it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import edgenas
from edgenas.system import plugins

PACKAGE = Path(edgenas.__file__).parent
# Top to bottom, by the first name below the package; "" is edgenas/__init__.py.
LAYERS = (
    (
        "",
        "__main__",
        "api",
        "cli",
        "commands",
        "config",
        "finished",
        "inherited",
        "kits",
        "pipeline",
        "presets",
        "ranking",
        "run",
        "stages",
    ),
    ("driver", "workers", "export", "bench", "profiling", "report"),
    ("problem", "strategies", "evaluators", "pruning"),
    ("study", "objective", "pareto", "engine", "data", "cost", "runtimes", "folder", "progress", "child"),
    ("nn",),
    ("spaces", "conditions", "sums"),
    ("graph", "ops", "errors", "plugins", "text"),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "torchvision", "onnx", "onnxruntime", "scipy", "sklearn", "fvcore", "PIL", "plotly")
LIGHT = (
    *("", "api", "cli", "commands", "config", "inherited", "kits", "run", "driver", "report", "problem"),
    *("objective", "pareto", "study", "folder", "progress", "cost", "engine/settings"),
    *("strategies/_base", "strategies/_feasible", "strategies/random", "strategies/evolution"),
    *("spaces", "conditions", "sums", "graph", "ops", "errors", "plugins", "text"),
)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("edgenas", *(part for part in parts if part != "__init__")))


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def depth(module: str) -> int:
    top = module.split(".")[1] if "." in module else ""
    assert top in DEPTH, f"{module} stands in no layer: add it to LAYERS, where design and imports want it"
    return DEPTH[top]


class Imports(ast.NodeVisitor):
    """Absolute names that a module imports, inside functions too, but not for type checking alone."""

    def __init__(self, module: str, *, package: bool) -> None:
        self.parts = module.split(".") + ["__init__"] * package
        self.found: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)
        for statement in node.orelse:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        self.found.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = ".".join([*self.parts[: -node.level], *filter(None, [node.module])]) if node.level else node.module or ""
        for alias in node.names:
            name = f"{base}.{alias.name}"
            self.found.add(name if name in FILES else base)


def imports(module: str) -> set[str]:
    path = FILES[module]
    visitor = Imports(module, package=path.stem == "__init__")
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return visitor.found


def own_imports(module: str) -> set[str]:
    found = {name for name in imports(module) if name.split(".")[0] == "edgenas"}
    assert found <= set(FILES), f"{module} imports {sorted(found - set(FILES))}, which do not exist"
    return found - {module}


PLUGINS = [(kind, f"edgenas.{kind}.{name.replace('-', '_')}") for kind in plugins.KINDS for name in plugins.names(kind)]


def test_there_are_modules_of_every_layer():
    assert {depth(module) for module in FILES} == set(range(len(LAYERS)))


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module):
    upward = [name for name in own_imports(module) if depth(name) < depth(module)]
    assert not upward, f"{module} imports {upward}, from a layer above its own"


def test_there_is_no_import_cycle():
    TopologicalSorter({module: own_imports(module) for module in FILES}).prepare()  # CycleError names it


def test_there_are_plugins_of_every_kind():
    assert {kind for kind, _ in PLUGINS} == set(plugins.KINDS)


@pytest.mark.parametrize("kind, module", PLUGINS)
def test_plugins_do_not_import_their_kind(kind, module):
    others = {other for each, other in PLUGINS if each == kind} - {module}
    assert not own_imports(module) & others


@pytest.mark.parametrize("module", [f"edgenas.{name}" for name in LAYERS[-1]])
def test_the_ground_is_the_standard_library(module):
    foreign = {name.split(".")[0] for name in imports(module)} - set(sys.stdlib_module_names) - {"edgenas"}
    assert not foreign


def test_heavy_libraries_are_imported_by_those_who_need_them():
    """One child imports every light module in turn and reports what came along."""
    light = [m for m in FILES if any(is_light(m, prefix) for prefix in LIGHT)]
    assert {"edgenas", "edgenas.graph.graph", "edgenas.latency.predictor", "edgenas.spaces.mbconv"} <= set(light)
    script = f"""
import importlib, json, sys
loaded = {{}}
for module in {light!r}:
    before = set(sys.modules)
    importlib.import_module(module)
    loaded[module] = [name for name in {HEAVY!r} if name in set(sys.modules) - before]
print(json.dumps(loaded))
"""
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert child.returncode == 0, child.stderr
    assert {module: heavy for module, heavy in json.loads(child.stdout).items() if heavy} == {}


def is_light(module: str, prefix: str) -> bool:
    """Whether `module` is the light module or in the light folder, or starts with the light path `folder/start`."""
    name = ".".join(filter(None, ("edgenas", prefix.replace("/", "."))))
    if "/" in prefix:
        return module.startswith(name)
    return module == name or (prefix != "" and module.startswith(f"{name}."))
