"""Functions that stand for workflows, so that what calls them is tested without searching or measuring."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

HEAVY = {"torch", "torchvision", "numpy", "onnx", "onnxruntime", "fvcore", "scipy", "sklearn", "PIL", "rich", "pydoc"}


class Fake:
    """Remembers what it was called with; answers, or fails, as it was told."""

    def __init__(self, answer: Any) -> None:
        """`answer` is what a call returns, or a function of the call's arguments."""
        self.answer = answer
        self.failure: BaseException | None = None
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls.append((arguments, keywords))
        if self.failure is not None:
            raise self.failure
        return self.answer(*arguments, **keywords) if callable(self.answer) else self.answer

    @property
    def configs(self) -> list[Any]:
        """The first argument of each call: the configuration of a workflow."""
        return [arguments[0] for arguments, _ in self.calls]


def one_line(captured: Any) -> str:
    """Return the only line on stderr; nothing is on stdout."""
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and captured.err.endswith("\n"), captured.err
    return lines[0]


def python(script: str, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, **keywords)
