"""What a run waits for a busy machine, by a clock that is ours."""

import pytest

from edgenas.runtimes.waiting import TURNS, Waiting, no_waiting
from tests._clock import Clock


@pytest.fixture
def clock():
    return Clock()


def test_a_turn_says_why_and_for_how_long(clock):
    said = []
    with Waiting(120.0, said.append, clock=clock).turn("only 3% clean") as seconds:
        assert seconds == 120.0
    assert said == ["the machine is busy (only 3% clean): measuring in its gaps, for 2 min 00 s at most"]


@pytest.mark.parametrize("taken_s", [[120.0] * 5, [30.0, 130.0, 500.0], [0.0, 0.0]])
def test_all_turns_together_wait_no_longer_than_two(clock, taken_s):
    said = []
    waiting, allowed_s, left_s = Waiting(120.0, said.append, clock=clock), [], TURNS * 120.0
    for taken in taken_s:
        with waiting.turn("busy") as seconds:
            allowed_s.append(seconds)
            clock.sleep(taken)
        assert seconds == min(120.0, left_s)
        left_s = max(0.0, left_s - taken)
    assert len(said) == sum(seconds > 0 for seconds in allowed_s), "who may not wait says nothing of waiting"


def test_a_turn_inside_another_counts_once(clock):
    said = []
    waiting = Waiting(60.0, said.append, clock=clock)
    with waiting.turn("it is slow") as outer:
        clock.sleep(10.0)
        with waiting.turn("busy") as inner:
            clock.sleep(20.0)
        clock.sleep(5.0)
    assert (outer, inner, waiting.left_s, len(said)) == (60.0, 60.0, TURNS * 60.0 - 35.0, 1)


def test_time_counts_after_a_failure_too(clock):
    waiting = Waiting(10.0, lambda text: None, clock=clock)
    with pytest.raises(KeyError), waiting.turn("busy"):
        clock.sleep(15.0)
        raise KeyError
    assert waiting.left_s == 5.0


def test_waiting_in_vain_is_said_once():
    said = []
    waiting = Waiting(0.0, said.append)
    waiting.in_vain()
    waiting.in_vain()
    assert len(said) == 1 and "disturbed" in said[0]


def test_without_waiting_there_is_no_time():
    with no_waiting().turn("busy") as seconds:
        assert seconds == 0.0
