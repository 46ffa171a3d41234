"""A user's own code is typed as ours is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgenas

SCRIPT = Path(__file__).with_name("user_script.py")


def test_the_script_calls_every_public_function():
    used = {
        node.attr
        for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgenas"
    }
    functions = {
        name for name in edgenas.__all__ if callable(found := getattr(edgenas, name)) and not isinstance(found, type)
    }
    assert functions <= used


@pytest.mark.slow
def test_mypy_strict_passes_on_a_users_script(tmp_path):
    pytest.importorskip("mypy")
    file = tmp_path / "mine.py"
    file.write_text(SCRIPT.read_text(encoding="utf-8"))
    words = ["--strict", "--config-file", "", "--ignore-missing-imports", "--follow-imports=silent", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(Path(edgenas.__file__).parents[1]), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
