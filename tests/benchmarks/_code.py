"""A Python package read from its files: modules, imports, functions, docstrings. Nothing of it is imported or run."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# One floor a line, top to bottom; a module imports from its own folder and from lower floors. "" is the package itself.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("",),
    ("api", "testing"),
    ("workflows", "strategies"),
    ("devices", "evaluators"),
    ("latency", "exploration"),
    ("cost",),
    ("training",),
    ("exporters", "nn", "pretrained"),
    ("runtimes", "spaces"),
    ("system", "data"),
    ("errors", "graph"),
)
FLOOR = {name: depth for depth, names in enumerate(FLOORS) for name in names}
MOST_IMPORTS = 15  # modules of edgenas that one module imports
MOST_LINES = 300
FREE_FORM = re.compile(r"\b[dD]ict\[str, Any\]")


def layer_map() -> str:
    """Return the floors as the docstring of edgenas/__init__.py shows them."""
    shown = {"": "edgenas/__init__"}
    return "\n".join("    " + "  ".join(shown.get(name, name) for name in floor) for floor in FLOORS[1:])


@dataclass(frozen=True)
class Function:
    """A function or method of the package."""

    name: str
    public: bool
    parameters: int  # without self and cls
    annotated: int
    lines: int
    doc: str


@dataclass(frozen=True)
class Module:
    """One source file, by the dotted name under which it is imported."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def comments(self) -> int:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(token.type == tokenize.COMMENT and not token.string.startswith("#!") for token in tokens)

    @property
    def room(self) -> str:
        """The first name below the package; "" for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def folder(self) -> str:
        return str(self.path.parent)

    @property
    def is_wiring(self) -> bool:
        """Whether the file only names things, as plugins made of parts and contracts do: no function does anything."""
        return not any(isinstance(node, ast.FunctionDef) and _does_something(node) for node in ast.walk(self.tree))

    def functions(self) -> Iterator[Function]:
        yield from _functions(self.tree.body, public=True)


class Package:
    """All modules below a package's folder, and what they import."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.root = self.folder.parent
        found = [Module(self._dotted(path), path) for path in sorted(self.folder.rglob("*.py"))]
        self.modules: Mapping[str, Module] = {module.name: module for module in found}

    def _dotted(self, path: Path) -> str:
        parts = path.relative_to(self.folder).with_suffix("").parts
        return ".".join((self.folder.name, *(part for part in parts if part != "__init__")))

    @cached_property
    def all_imports(self) -> Mapping[str, frozenset[str]]:
        """Absolute names that each module imports, inside functions and for type checking too."""
        return {name: frozenset(self._imports(module)) for name, module in self.modules.items()}

    @cached_property
    def imports(self) -> Mapping[str, frozenset[str]]:
        """The same, of the package's own modules."""
        return {
            name: frozenset(other for other in found if other.split(".")[0] == self.folder.name) - {name}
            for name, found in self.all_imports.items()
        }

    def _imports(self, module: Module) -> Iterator[str]:
        parts = module.name.split(".") + ["__init__"] * (module.path.stem == "__init__")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = ".".join([*parts[: -node.level], *filter(None, [node.module])]) if node.level else node.module
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    yield name if name in self.modules else base or ""

    def arrows(self) -> Iterator[tuple[Module, Module]]:
        """Yield each module with each module of the package that it imports."""
        for name, others in self.imports.items():
            yield from ((self.modules[name], self.modules[other]) for other in sorted(others) if other in self.modules)

    def unknown_rooms(self) -> list[str]:
        return sorted({m.room for m in self.modules.values() if m.room not in FLOOR})

    def upward(self) -> list[str]:
        return [f"{a.name} -> {b.name}" for a, b in self._placed() if FLOOR[b.room] < FLOOR[a.room]]

    def sideways(self) -> list[str]:
        return [
            f"{a.name} -> {b.name}" for a, b in self._placed() if FLOOR[b.room] == FLOOR[a.room] and a.room != b.room
        ]

    def _placed(self) -> Iterator[tuple[Module, Module]]:
        return ((a, b) for a, b in self.arrows() if a.room in FLOOR and b.room in FLOOR)

    def private_imports(self) -> list[str]:
        """Modules with a leading underscore, imported from another folder."""
        return [
            f"{a.name} -> {b.name}"
            for a, b in self.arrows()
            if any(part.startswith("_") and not part.startswith("__") for part in b.name.split("."))
            and a.folder != b.folder
        ]

    def module_cycles(self) -> list[list[str]]:
        return cycles(self.imports)

    def room_cycles(self) -> list[list[str]]:
        """Cycles between the folders; "", which is the package itself, is left out as the command line imports it."""
        rooms: dict[str, set[str]] = defaultdict(set)
        for a, b in self.arrows():
            if a.room != b.room and b.room and a.room:
                rooms[a.room].add(b.room)
        return cycles(rooms)

    def most_imports(self) -> dict[str, int]:
        """How many modules of the package each module imports, the most first."""
        return dict(sorted(((n, len(o)) for n, o in self.imports.items()), key=lambda pair: -pair[1]))

    def long_files(self) -> dict[str, int]:
        """Lines of each file, the longest first."""
        return dict(sorted(((n, m.lines) for n, m in self.modules.items()), key=lambda pair: -pair[1]))

    def free_form(self) -> dict[str, int]:
        """How often each module says dict[str, Any], the most first."""
        counts = {name: len(FREE_FORM.findall(module.text)) for name, module in self.modules.items()}
        return dict(sorted(((n, c) for n, c in counts.items() if c), key=lambda pair: -pair[1]))

    def without_test(self) -> list[str]:
        """Source files, other than those that only name things, without a test file at the mirrored place."""
        return [str(path) for path, test in self._mirrored() if not test.is_file()]

    def mirrored_share(self) -> float:
        pairs = list(self._mirrored())
        return sum(test.is_file() for _, test in pairs) / len(pairs)

    def _mirrored(self) -> Iterator[tuple[Path, Path]]:
        for module in self.modules.values():
            path = module.path.relative_to(self.folder)
            if not path.stem.startswith("__") and not module.is_wiring:
                yield path, self.root / "tests" / path.parent / f"test_{path.stem.lstrip('_')}.py"

    def functions(self) -> list[tuple[str, Function]]:
        return [(name, function) for name, module in self.modules.items() for function in module.functions()]

    def without_args(self) -> list[str]:
        """Public functions of two or more parameters whose docstring has no `Args:`."""
        return [f"{name}.{f.name}" for name, f in self._with_parameters() if "Args:" not in f.doc]

    def args_share(self) -> float:
        return 1 - len(self.without_args()) / max(1, len(self._with_parameters()))

    def _with_parameters(self) -> list[tuple[str, Function]]:
        return [(name, f) for name, f in self.functions() if f.public and f.parameters >= 2]

    def public_names(self) -> list[str]:
        """What the package's `__all__` lists, without errors and modules, which need no example."""
        for node in self.modules[self.folder.name].tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                listed = [name for name in ast.literal_eval(node.value) if not name.startswith("__")]
                errors = {n.name for n in _classes(self.modules.get(f"{self.folder.name}.errors"))}
                return [
                    name for name in listed if name not in errors and f"{self.folder.name}.{name}" not in self.modules
                ]
        return []

    def without_example(self) -> list[str]:
        """Public names whose docstring has no example that doctest runs."""
        shown = {
            node.name
            for module in self.modules.values()
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ">>>" in (ast.get_docstring(node) or "")
        }
        return [name for name in self.public_names() if name not in shown]

    def fragments(self) -> list[str]:
        """Docstrings whose first line is a fragment that starts with a preposition."""
        start = re.compile(r"(Of|As|For|With|Without|From|To|By|In|On|Where|What|How|Whether|Which)\b")
        return [f"{name}.{f.name}: {f.doc.partition(chr(10))[0]}" for name, f in self.functions() if start.match(f.doc)]


def cycles(arrows: Mapping[str, frozenset[str] | set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def _functions(body: list[ast.stmt], *, public: bool) -> Iterator[Function]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, public=public and not node.name.startswith("_"))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            given = [a for a in every if a.arg not in ("self", "cls")]
            yield Function(
                node.name,
                public and not node.name.startswith("_"),
                len(given),
                sum(a.annotation is not None for a in given),
                (node.end_lineno or node.lineno) - node.lineno + 1,
                ast.get_docstring(node) or "",
            )


def _does_something(function: ast.FunctionDef) -> bool:
    """Whether there is more in a function than a docstring, as in those of a Protocol or an abstract class."""
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and not isinstance(node, ast.Pass)
        for node in function.body
    )


def _classes(module: Module | None) -> Iterator[ast.ClassDef]:
    yield from (n for n in (module.tree.body if module else []) if isinstance(n, ast.ClassDef))
