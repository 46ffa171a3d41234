"""TuNAS: a controller as in ENAS, with the latency in the reward and weights that are warmed up."""

from __future__ import annotations

from edgenas.strategies.one_shot.weight_sharing import ControllerWithSharedWeights


class Tunas(ControllerWithSharedWeights):
    """TuNAS (Bender et al., 2020, arXiv:2008.06120): accuracy + beta |latency / budget - 1| is the reward.

    Differences: the policy is an LSTM, where the paper's choices are independent; the baseline is the mean of the other
    rewards of a round, as a moving average lags behind weights that improve.
    """

    reward_form = "absolute"
    baseline = "leave-one-out"
    warm_up = 0.25  # of all steps, as in the paper
