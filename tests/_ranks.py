"""Rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr


def spearman(predicted: Sequence[float] | np.ndarray, truth: Sequence[float] | np.ndarray) -> float:
    return float(spearmanr(predicted, truth).statistic)
