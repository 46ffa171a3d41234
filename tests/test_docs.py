"""What README and docs say is so: links, commands, flags, figures; examples and blocks run as they stand."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgenas.cli import main as cli
from edgenas.system import plugins
from tests.benchmarks import picture, readme
from tests.benchmarks.picture import Point

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "README.md", ROOT / "CHANGELOG.md"]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
MOST_README_LINES = 120

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)")
FENCED, INLINE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL), re.compile(r"`(edgenas [^`\n]+)`")
# A command in a line of shell, up to a comment, a pipe, or the next command.
COMMAND = re.compile(r"\bedgenas ((?:[a-z]+ |[a-z]+$)[^|>#&]*)")
BENCHMARK = re.compile(r"python -m tests\.benchmarks\.(\w+)")
FIGURE = re.compile(r"\d+\.\d+")
# What `--runtime` and its like are in tables of the changelog: flags of before.
NOT_TODAY = {"CHANGELOG.md"}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@cache
def flags(command: str) -> set[str]:
    """The flags of a command, those without help included."""
    parser = cli._parser(command, cli._command(command))
    return {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    found = LINK.findall(read(page))
    for file, anchor in found:
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"
    assert found or page.name not in ("README.md", "concepts.md")


def commands(page: Path) -> list[list[str]]:
    """The words of every command of edgenas in the blocks of a page and between its backticks."""
    text = read(page).split("## The record")[0].replace("\\\n", " ")
    lines = [line for block in FENCED.findall(text) for line in block.splitlines()]
    lines = [line for line in lines if not line.lstrip().startswith(("import ", "from "))]
    lines += INLINE.findall(FENCED.sub("", text))
    return [shlex.split(found.split("...")[0].rstrip(" ()")) for line in lines for found in COMMAND.findall(line)]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NOT_TODAY], ids=lambda page: page.name)
def test_commands_and_flags_exist(page):
    shown = commands(page)
    for command, *words in shown:
        assert command in cli.COMMANDS, command
        named = {word.split("=")[0].rstrip(",.;:)") for word in words if re.match(r"--?[a-z]", word)}
        assert named - flags(command) <= {"--help"}, f"{command}: {named - flags(command)}"
    assert len(shown) >= (8 if page == README else 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_benchmarks_exist(page):
    named = set(BENCHMARK.findall(read(page).split("## The record")[0]))
    assert {name for name in named if not (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()} == set()


@pytest.mark.parametrize("name", [f.stem for f in sorted((ROOT / "tests" / "benchmarks").glob("[!_]*.py"))])
def test_benchmarks_can_be_started(name):
    """Their imports exist: they are run by hand, and too seldom to be noticed otherwise."""
    importlib.import_module(f"tests.benchmarks.{name}")


def test_the_readme_is_short():
    assert len(read(README).splitlines()) <= MOST_README_LINES


def test_figures_of_the_readme_are_in_the_results():
    pays = read(README).split("## When does searching pay?")[1].split("\n## ")[0]
    results = read(ROOT / "docs" / "results.md")
    figures = FIGURE.findall(pays)
    assert len(figures) > 15
    # 2.5 points are the difference between two of them.
    assert [figure for figure in figures if figure not in results and figure != "2.5"] == []


def test_every_command_is_in_the_readme():
    table = read(README).split("## Commands")[1].split("\n## ")[0]
    assert [name for name in cli.COMMANDS if f"`edgenas {name}`" not in table] == []


def test_what_ci_runs_is_what_the_docs_say():
    assert read(ROOT / ".ci" / "run").count("-m pytest -n auto") == 1
    assert "python -m pytest -n auto" in read(README) and "-m pytest -n auto" in read(ROOT / "docs" / "contributing.md")


def test_pictures_are_drawn():
    found = [Point(1.0, 0.5, True), Point(2.0, 0.4, True), Point(3.0, 0.9, True), Point(9.0, 0.95, False)]
    assert picture.front(found) == [found[0], found[2]]
    result = {"budget_ms": 4.0, "predicted_ms": 3.0, "measured_ms": None, "test_accuracy": 0.91}
    tree = ElementTree.fromstring(picture.draw(found, result))
    said = " ".join(tree.itertext())
    assert "budget 4 ms" in said and "3.000 ms predicted" in said and "91.0 %" in said
    dots = [node for node in tree if node.tag.endswith("circle")]
    assert len(dots) == len(found) + 2 + 1  # all, those on the front, the delivered one
    assert all(
        0 <= float(dot.get("cx")) <= picture.WIDTH and 0 <= float(dot.get("cy")) <= picture.HEIGHT for dot in dots
    )


def test_the_picture_of_the_readme_is_one():
    ElementTree.fromstring(read(picture.PICTURE))


def test_blocks_are_read_in_order():
    found = readme.blocks("a\n```sh\none\n```\n```text\nno\n```\n```python\ntwo\n```\n", "sh", "python")
    assert [(block.language, block.text) for block in found] == [("sh", "one\n"), ("python", "two\n")]


MEASURED = [example for example in EXAMPLES if example.stem != "own_loop"]  # these search, on this machine


@pytest.mark.parametrize(
    "example", [pytest.param(e, marks=[pytest.mark.alone] if e in MEASURED else [], id=e.stem) for e in EXAMPLES]
)
def test_examples_run_at_their_smallest_settings(example, tmp_path):
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("any_plugin")
def test_examples_are_plugins_too():
    space = plugins.load("spaces", str(ROOT / "docs" / "examples" / "own_space.py"))
    assert len(space.build((1, 32, 32), 10).choices) == 7
    assert plugins.load("strategies", str(ROOT / "docs" / "examples" / "own_strategy.py")).__name__ == "Annealing"


@pytest.mark.alone
@pytest.mark.timeout(3600)
def test_blocks_of_the_readme_run_as_they_stand(tmp_path):
    readme.prepare(tmp_path)
    text = read(README)
    for ran in readme.run(tmp_path, text):
        if ran.code and "quiet device" in ran.stderr:
            pytest.skip(f"this machine is too busy to measure a kit: {ran.stderr.splitlines()[-1]}")
        assert ran.code == 0, f"{ran.block.text}\n{ran.stdout}\n{ran.stderr[-3000:]}"
