"""The card: figures with their errors, limits, a snippet that runs, and no markup from the user's names."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace

import pytest

from edgenas.exporters.model_card import model_card, one_line
from tests.exporters.conftest import LABELS

LIMITS = (
    {"metric": "params", "allowed": 20_000.0, "used": 12_345.0},
    {"metric": "latency_ms@pi5", "allowed": 20.0, "used": 11.0, "low": 10.0, "high": 12.0},
)


@pytest.mark.parametrize("text, line", [("a b", "a b"), ("a\n b\t", "a b"), ("", "")])
def test_names_are_one_line(text, line):
    assert one_line(text) == line


def test_it_has_the_figures_with_their_errors_and_escapes_names(metadata):
    card = model_card(metadata, LABELS)
    assert "| `model.onnx` | 1.250 | 1.3% | 90.00% ± 1.50% |" in card
    assert "| `model.int8.onnx` | 1.750 | unknown | 89.00% ± 1.56% |" in card
    assert "<script>" not in card and "<b>" not in card


def test_it_tells_what_of_each_limit_is_used(metadata):
    assert "Further limits" not in model_card(metadata, LABELS)
    card = model_card(replace(metadata, limits=LIMITS), LABELS)
    assert "- 12.3 k of 20 k parameters, 62 %" in card
    assert "- pi5: predicted 11.00 ms (10.00 to 12.00), not measured, 20 ms allowed" in card


def test_its_snippet_runs_the_default_model(write, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write(tmp_path))
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "MODEL_CARD.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "snippet.py").write_text(code)
    runpy.run_path("snippet.py")
    assert capsys.readouterr().out.startswith("[[")
