"""The card: figures with their errors, limits, a snippet that runs, and no markup from the user's names."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace

import numpy as np
import pytest

from edgenas.data.view import View
from edgenas.exporters.by_class import by_class
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


def test_it_shows_recall_and_warns_of_a_class_that_is_never_found(metadata):
    card = model_card(metadata, LABELS)
    assert "| cat | 100 | 95.0% |" in card and "| Käse | 0 | no image |" in card
    assert "**Warning: never found though it has test images: two lines.**" in card
    assert "Balanced accuracy, the mean of the recalls, is 67.50%." in card and "Rows are" not in card
    assert "recall" not in model_card(replace(metadata, by_class=None), LABELS)


@pytest.mark.parametrize("classes, shown", [(2, True), (20, True), (21, False)])
def test_a_small_confusion_matrix_is_shown(metadata, classes, shown):
    numbers = np.arange(classes)
    found = by_class(np.append(numbers, 1), np.append(numbers, 0), classes)
    card = model_card(replace(metadata, by_class=found), [f"a|{i}" for i in numbers])
    assert ("Rows are the true classes" in card) == shown
    assert ("| 2 a&#124;1 | 1 | 1 |" in card) == shown


@pytest.mark.parametrize(
    "fit, words", [("crop", "largest centred square"), ("pad", "filled up"), ("squash", "squashed")]
)
def test_it_says_how_a_picture_becomes_the_input(metadata, fit, words):
    card = " ".join(model_card(replace(metadata, input=replace(metadata.input, view=View(fit))), LABELS).split())
    assert words in card and "EXIF" in card and "`pictures.npz`" in card
