"""Strategies by name: classes, files, options and the page about them say the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas import strategies
from edgenas.system import plugins

PAGE = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text()
NAMES = plugins.names("strategies")


def test_the_package_gives_the_classes_of_all_files():
    classes = {plugins.load("strategies", name) for name in NAMES}
    assert classes == {getattr(strategies, name) for name in strategies.__all__}
    assert dir(strategies) == sorted(strategies.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = strategies.Nothing


def test_importing_the_package_starts_no_torch():
    code = "import sys, edgenas.strategies as s; s.Evolution; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_the_class_says(name):
    cls = plugins.load("strategies", name)
    (row,) = re.findall(rf"^\| `{name}` \|(.*)$", PAGE, flags=re.MULTILINE)
    options = ", ".join(f"`{option}={'|'.join(values)}`" for option, values in cls.options.items())
    cells = [cell.strip() for cell in row.replace("\\|", "\0").split("|")]
    assert cells[:3] == [f"`{cls.__name__}`", cls.reward_form, "yes" if cls.trains_weights else "no"]
    assert cells[3].replace("\0", "|") == options
    assert f"\n## {name}\n" in PAGE
