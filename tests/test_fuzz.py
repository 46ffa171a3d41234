"""A few cheap cases of `python -m tests.fuzz`, and what it holds for wrong."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.conftest import built_once
from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import KINDS, Target, make_case
from tests.fuzz.oracle import Sound, judge
from tests.fuzz.running import Outcome, call
from tests.fuzz.samples import Samples

CASES = {"table": range(8), "results": range(8), "npz": range(8), "images": range(6), "codes": range(6), "config": range(6)}


def is_cheap(target: Target) -> bool:
    return not target.slow and not target.risky


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    return Campaign(Samples(root / "samples"), root, only=is_cheap)


@pytest.mark.parametrize("kind", CASES)
def test_malformed_inputs_are_refused_or_change_nothing(campaign, kind):
    for seed in CASES[kind]:
        _, _, findings = campaign.run(kind, seed)
        assert findings == [], campaign.report()
