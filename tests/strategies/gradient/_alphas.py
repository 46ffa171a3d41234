"""Alphas of a toy space."""

from __future__ import annotations

import numpy as np
import torch

from edgenas.strategies.gradient.alphas import Alphas
from tests.strategies._synthetic import Toy

SPACE = Toy(4).restrict({"width": [0], "k1": [0, 2], "e2": [1]})


def alphas(seed: int = 0, spread: float = 1.0) -> Alphas:
    made = Alphas(SPACE, np.random.default_rng(seed))
    with torch.no_grad():
        made.logits.copy_(spread * torch.randn(made.logits.shape, generator=torch.Generator().manual_seed(seed)))
    return made
