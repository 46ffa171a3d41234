"""Which networks a folder says were trained, and which of them is delivered."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from edgenas.errors import BudgetError
from edgenas.exploration.objective import Limit
from edgenas.system.run_folder import write_artefact
from edgenas.workflows.stages import choice, deliver
from edgenas.workflows.stages.artefacts import Candidate, Figure, Selection, Verdict
from edgenas.workflows.stages.codes import selection_file, trained_codes


def test_codes_are_in_the_order_of_their_attempts(tmp_path):
    assert trained_codes(tmp_path) == []
    for attempt, codes in enumerate([("a", "b"), ("c",)]):
        write_artefact(tmp_path, selection_file(attempt), Selection(codes))
    write_artefact(tmp_path, selection_file(3), Selection(("z",)))
    assert trained_codes(tmp_path) == ["a", "b", "c"], "attempt 2 is not there, so what follows is none of this run"


def chosen_of(monkeypatch, met, figures, attempts=1, precision="fp32", int8=(), again=(), at_once=()):
    """Choose among finalists of accuracies 0.9, 0.8, ..., of which `met` says what their measurements say.

    Each attempt has as many finalists; `int8` are the accuracies of their int8 files. `at_once` is what measurements
    right after the first ones say, and `again` what the last ones say, by default what the first ones did.
    """
    each = len(met) // attempts
    accuracies = [SimpleNamespace(accuracy=0.9 - 0.1 * i) for i in range(len(met))]
    scores = [SimpleNamespace(arch=(i,), code=str(i), scores=row) for i, row in enumerate(accuracies)]
    verdicts = {
        turn: [Verdict(m, precision, "", {precision: f}) for m, f in zip(said, figures, strict=True)]
        for turn, said in ((choice.FIRST, met), (choice.AT_ONCE, at_once or met), (choice.AGAIN, again or met))
    }

    def train_selected(priced, evaluator, strategy, study, ctx, attempt, excluded, trained):
        first = len(trained)
        trained += scores[first : first + each]
        codes = tuple(str(i) for i in range(first, first + each))
        return Selection(codes, tuple(Candidate(code, 0.9, 18.0, None, None, None) for code in codes))

    monkeypatch.setattr(choice, "ATTEMPTS", attempts)
    monkeypatch.setattr(choice, "_train_selected", train_selected)
    files = [{"int8": SimpleNamespace(validation_accuracy=a)} if a else {} for a in int8]
    for module in (choice, deliver):
        monkeypatch.setattr(
            module, "exported", lambda priced, finalist, n, ctx: SimpleNamespace(files=files[n]) if files else n
        )
    monkeypatch.setattr(choice, "measured", lambda priced, number, ctx, turn: SimpleNamespace(figures=(number, turn)))
    monkeypatch.setattr(choice, "verdict", lambda task, files, figures: verdicts[figures[1]][figures[0]])
    monkeypatch.setattr(choice, "refitted", lambda priced, misses: priced)
    device = SimpleNamespace(is_here=True, precision=precision)
    limits = (Limit("latency_ms@here", 20.0, "--budget-ms ", "ms"),)
    task = SimpleNamespace(device=device, limits=limits, budget_ms=20.0, teacher=None, space=SimpleNamespace(parse=int))
    priced = SimpleNamespace(task=task, space=task.space, config=SimpleNamespace(max_file_mb=None))
    return choice.choose(priced, None, None, None, None)[0]


GOOD, BAD, DISTURBED = Figure(10.0, 11.0, 0.01), Figure(30.0, 31.0, 0.01), Figure(40.0, 50.0, 0.1, clean=False)


@pytest.mark.parametrize(
    "met, figures, attempts, number, is_met, misses",
    [
        ([True, True], [GOOD, GOOD], 1, 0, True, 0),
        ([False, True], [BAD, GOOD], 1, 1, True, 1),
        ([None, True], [DISTURBED, GOOD], 1, 1, True, 0),
        ([None, None], [DISTURBED, DISTURBED], 1, 0, None, 0),
        ([False, None], [BAD, DISTURBED], 2, 1, None, 1),
        ([False, False], [BAD, DISTURBED], 1, 1, None, 1),
        ([False, False], [DISTURBED, replace(DISTURBED, ms=35.0)], 2, 1, None, 1),
    ],
)
def test_a_busy_machine_never_ends_a_run_without_a_model(monkeypatch, met, figures, attempts, number, is_met, misses):
    found = chosen_of(monkeypatch, met, figures, attempts)
    assert (found.number, found.verdict.met, found.misses) == (number, is_met, misses)


@pytest.mark.parametrize(
    ("met", "again", "number", "misses"),
    [
        ([False, False], [True, True], 0, 0),
        ([False, False], [False, True], 1, 1),
        ([False, False], [None, True], 1, 1),
        ([False, True], [True, True], 1, 1),
    ],
)
def test_where_all_missed_they_are_measured_once_more(monkeypatch, met, again, number, misses):
    found = chosen_of(monkeypatch, met, [BAD, GOOD], again=again)
    assert (found.number, found.verdict.met, found.misses) == (number, True, misses)


NEAR = Figure(20.4, 21.0, 0.01)


@pytest.mark.parametrize(
    ("figures", "at_once", "number"),
    [([NEAR, GOOD], [True, True], 0), ([NEAR, GOOD], [False, True], 1), ([BAD, GOOD], [True, True], 1)],
)
def test_one_that_misses_by_little_is_measured_again_before_a_less_accurate_one(monkeypatch, figures, at_once, number):
    assert chosen_of(monkeypatch, [False, True], figures, at_once=at_once).number == number


def test_misses_that_are_sure_end_it(monkeypatch):
    with pytest.raises(BudgetError, match="predicted 18.000 ms, measured 30.000 ms"):
        chosen_of(monkeypatch, [False, False], [BAD, BAD])


@pytest.mark.parametrize(("accuracies", "number"), [((0.5, 0.7), 1), ((0.7, 0.5), 0), ((None, 0.1), 1)])
def test_for_int8_finalists_are_quantised_before_the_choice(monkeypatch, accuracies, number):
    assert chosen_of(monkeypatch, [True, True], [GOOD, GOOD], precision="int8", int8=accuracies).number == number
