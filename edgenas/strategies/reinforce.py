"""Policy gradient with an LSTM controller, scored by an evaluator."""

from __future__ import annotations

from edgenas.strategies.controllers.policy_gradient import PolicyGradient


class Reinforce(PolicyGradient):
    """REINFORCE on an LSTM policy (Williams, 1992; Zoph and Le, arXiv:1611.01578), under the absolute reward."""

    reward_form = "absolute"
