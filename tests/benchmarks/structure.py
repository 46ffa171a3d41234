"""How the code is built, in numbers: layers, cycles, sizes, tests beside the code, words about it.

    python -m tests.benchmarks.structure                         this checkout
    python -m tests.benchmarks.structure edgenas ../old/edgenas  two checkouts beside each other
    python -m tests.benchmarks.structure --list without_args     what a number counts

`tests/test_structure.py` holds the same numbers to their limits. Nothing of a package is imported or run, so that any
version of it can be measured.
"""

from __future__ import annotations

import argparse
import re
import statistics
from pathlib import Path

from tests.benchmarks._code import MOST_IMPORTS, MOST_LINES, Package


def numbers(package: Package) -> dict[str, str]:
    """Return every number, as it is shown."""
    lengths = [function.lines for _, function in package.functions()]
    files = [module.lines for module in package.modules.values()]
    parameters = sum(f.parameters for _, f in package.functions())
    tests = sum(
        path.read_text(encoding="utf-8").count("\n")
        for path in (package.root / "tests").rglob("*.py")
        if "benchmarks" not in path.parts
    )
    readme = package.root / "README.md"
    placed = not package.unknown_rooms()
    public = package.public_names()
    return {
        "modules": str(len(package.modules)),
        "modules directly in the package": str(sum(m.path.parent == package.folder for m in package.modules.values())),
        "lines": str(sum(files)),
        "rooms (first names below the package)": str(len({m.room for m in package.modules.values()})),
        "cycles of modules": str(len(package.module_cycles())),
        "cycles of rooms": str(len(package.room_cycles())),
        "imports upward": str(len(package.upward())) if placed else "-",
        "imports sideways": str(len(package.sideways())) if placed else "-",
        "imports of private modules from other folders": str(len(package.private_imports())),
        "most modules imported by one": str(next(iter(package.most_imports().values()))),
        f"modules that import more than {MOST_IMPORTS}": str(
            sum(n > MOST_IMPORTS for n in package.most_imports().values())
        ),
        "longest file": str(max(files)),
        f"files of more than {MOST_LINES} lines": str(sum(n > MOST_LINES for n in files)),
        "functions: median lines": f"{statistics.median(lengths):.0f}",
        "functions: 95 % are below, lines": f"{statistics.quantiles(lengths, n=20)[-1]:.0f}",
        "functions of more than 60 lines": str(sum(n > 60 for n in lengths)),
        "parameters with a type": f"{sum(f.annotated for _, f in package.functions()) / parameters:.0%}",
        "dict[str, Any]": str(sum(package.free_form().values())),
        "source files with a test at the mirrored place": f"{package.mirrored_share():.0%}",
        "lines of tests per line of source": f"{tests / sum(files):.2f}",
        "comments per 100 lines": f"{100 * sum(m.comments for m in package.modules.values()) / sum(files):.1f}",
        "public functions of two parameters or more with Args": f"{package.args_share():.0%}",
        "docstrings that start with a fragment": str(len(package.fragments())),
        "public names with an example": f"{len(public) - len(package.without_example())} of {len(public)}",
        "words in the README": str(len(re.findall(r"\S+", readme.read_text(encoding="utf-8"))))
        if readme.is_file()
        else "-",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parents[2] / "edgenas"
    parser.add_argument("folders", nargs="*", type=Path, default=[here], help="package folders (default: this one)")
    parser.add_argument("--list", metavar="WHAT", help="a method of `Package` in tests/benchmarks/_code.py")
    arguments = parser.parse_args()
    packages = [Package(folder) for folder in arguments.folders]
    if arguments.list:
        for package in packages:
            found = getattr(package, arguments.list)()
            for key in found:
                print(f"{key}  {found[key]}" if isinstance(found, dict) else key)
        return
    tables = [numbers(package) for package in packages]
    width = max(map(len, tables[0]))
    for name in tables[0]:
        print(f"{name:{width}}  " + "  ".join(f"{table[name]:>8}" for table in tables))


if __name__ == "__main__":
    main()
