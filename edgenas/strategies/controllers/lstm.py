"""An LSTM that writes architectures one choice at a time (ENAS, arXiv:1802.03268; MnasNet, arXiv:1807.11626)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.random import Generator
from torch import Tensor, nn

from edgenas.graph.graph import Arch

# ENAS: logits are squashed, so that no probability reaches 0 or 1 and sampling goes on.
TEMPERATURE, TANH_CONSTANT = 5.0, 2.5


class Controller(nn.Module):
    """p(arch) = product over the choices of p(option | options before it), by one LSTM layer.

    Only choices with more than one allowed option are decided: `steps` of them, with at most `width` options. A
    *script* (n, steps) holds, per architecture and step, an index into the allowed options.
    """

    missing: Tensor

    def __init__(self, allowed: Sequence[Sequence[int]], hidden: int, rng: Generator) -> None:
        """Draw weights uniformly from -0.1..0.1, as in ENAS; `allowed[choice]` are option indices."""
        super().__init__()
        self.allowed = [tuple(options) for options in allowed]
        self.free = [i for i, options in enumerate(self.allowed) if len(options) > 1]
        self.steps = len(self.free)
        self.width = max((len(self.allowed[i]) for i in self.free), default=1)
        self.embedding = nn.Embedding(1 + self.steps * self.width, hidden)  # 0 is the start
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.heads = nn.Parameter(torch.empty(self.steps, hidden, self.width))
        self.register_buffer("missing", torch.zeros(self.steps, self.width, dtype=torch.bool))
        self.narrow(self.allowed)
        # All randomness comes from `rng`: what torch has drawn above is overwritten.
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.from_numpy(rng.uniform(-0.1, 0.1, size=tuple(parameter.shape))))

    def narrow(self, allowed: Sequence[Sequence[int]]) -> None:
        """Offer only these options from now on, a part of those it was made for; what it learned stays."""
        for step, i in enumerate(self.free):
            offered = [option in allowed[i] for option in self.allowed[i]]
            self.missing[step] = ~torch.tensor(offered + [False] * (self.width - len(offered)))

    def sample(self, n: int, rng: Generator) -> list[Arch]:
        """Return `n` architectures drawn from the policy."""
        # Inverse transform sampling, by numbers of `rng` instead of torch's own generator.
        uniform = torch.from_numpy(rng.random((n, self.steps, 1)))
        token = torch.zeros(n, 1, dtype=torch.long)
        script = torch.zeros(n, self.steps, dtype=torch.long)
        state = None
        with torch.no_grad():
            for step in range(self.steps):
                hidden, state = self.lstm(self.embedding(token), state)
                cumulative = self._log_probs(hidden, slice(step, step + 1)).double().exp().cumsum(-1)[:, 0]
                # The last sum may be rounded to less than 1; the draw stays among the options offered all the same.
                last = int((~self.missing[step]).nonzero().max())
                script[:, step] = (cumulative <= uniform[:, step]).sum(-1).clamp(max=last)
                token = self._tokens(script[:, step : step + 1], step)
        return [self._arch(row) for row in script.tolist()]

    def forward(self, archs: Sequence[Arch]) -> tuple[Tensor, Tensor]:
        """Return log-probability (n,) of each architecture, and entropy (n,) of the choices along its way, in nats."""
        if not self.steps:
            return torch.zeros(len(archs)), torch.zeros(len(archs))
        script = torch.tensor([self._script(arch) for arch in archs])
        start = torch.zeros(len(archs), 1, dtype=torch.long)
        # Each step reads the option of the step before, the first one the start token.
        hidden, _ = self.lstm(self.embedding(torch.cat([start, self._tokens(script[:, :-1], 0)], dim=1)))
        log_probs = self._log_probs(hidden, slice(None))
        taken = log_probs.gather(-1, script[..., None]).sum(dim=(1, 2))
        # An option that is not offered has log-probability -inf; its share of the entropy is 0.
        entropy = -(log_probs.exp() * log_probs.masked_fill(self.missing, 0.0)).sum(dim=(1, 2))
        return taken, entropy

    def _log_probs(self, hidden: Tensor, steps: slice) -> Tensor:
        """Return log-probabilities (n, steps, width) of the options from LSTM outputs (n, steps, hidden)."""
        logits = torch.einsum("nsh,sho->nso", hidden, self.heads[steps])
        logits = TANH_CONSTANT * torch.tanh(logits / TEMPERATURE)
        return logits.masked_fill(self.missing[steps], -torch.inf).log_softmax(-1)

    def _tokens(self, script: Tensor, first: int) -> Tensor:
        """Return embedding rows of the options (n, s) taken from step `first` on."""
        return 1 + script + self.width * torch.arange(first, first + script.shape[1])

    def _arch(self, script: Sequence[int]) -> Arch:
        """Return the architecture that a script describes."""
        arch = [options[0] for options in self.allowed]
        for i, index in zip(self.free, script, strict=True):
            arch[i] = self.allowed[i][index]
        return tuple(arch)

    def _script(self, arch: Arch) -> list[int]:
        """Return the script that describes an architecture."""
        return [self.allowed[i].index(arch[i]) for i in self.free]
