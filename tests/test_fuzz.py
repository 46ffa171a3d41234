"""A few cheap cases of `python -m tests.fuzz`, and what it holds for wrong."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz.campaign import Campaign
from tests.fuzz.cases import KINDS, Target, make_case
from tests.fuzz.files import copied
from tests.fuzz.hostile import MODULE
from tests.fuzz.oracle import Sound, judge
from tests.fuzz.running import Outcome, call
from tests.fuzz.samples import Samples
from tests.fuzz.watching import Stopwatch

# Seeds of each kind; no kit, whose bombs take seconds. What findings are left is found by a longer run.
SEEDS = {"codes": 12, "config": 12, "flags": 12, "images": 12, "npz": 9, "results": 7, "table": 12}


def is_cheap(target: Target) -> bool:
    """Tell whether it needs no run of a search, and no process of its own."""
    return not target.slow and not target.words.startswith(("bench", "predict model", "baseline"))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    return Campaign(Samples(root / "samples"), root, is_cheap, children=False)


@pytest.mark.parametrize("kind", SEEDS)
def test_malformed_inputs_are_refused_or_change_nothing(campaign, kind):
    for seed in range(SEEDS[kind]):
        _, _, findings = campaign.run(kind, seed)
        assert findings == [], campaign.report()
    assert sum(n for (name, _), n in campaign.counts.items() if name == kind) == SEEDS[kind]


@pytest.mark.parametrize("kind", ["codes", "images", "npz", "results", "table"])
def test_a_case_is_made_of_its_kind_and_seed(campaign, tmp_path, kind):
    def made(part: str, seed: int) -> tuple[str, dict[str, bytes]]:
        case = make_case(kind, seed, campaign.samples, tmp_path / part, is_cheap)
        files = {str(path.relative_to(case.folder)): path for path in case.folder.rglob("*") if path.is_file()}
        return case.said, {name: path.read_bytes() for name, path in files.items()}

    # Not of times: a zip that numpy writes holds none.
    assert made("one", 3) == made("other", 3) != made("third", 5)


LINE = "edgenas: table.csv: line 3: '1_0' is not a number\n"
REFUSED = Outcome(3, "", LINE, 0.1)
SOUND = Sound("0.064 ms\n", "")


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({}, None),
        ({"code": 0, "out": "0.064 ms\n", "err": ""}, None),
        ({"code": 0, "out": "0.016 ms\n", "err": ""}, "silently different"),
        ({"code": 0, "out": "0.016 ms\n", "err": "table.csv: 3 rows are gone\n"}, None),
        ({"code": 1}, "exit 1, not 2 or 3"),
        ({"code": 4}, "exit 4, not 2 or 3"),
        ({"code": 139}, "exit 139"),
        ({"code": None, "raised": "ended by signal 11"}, "raised"),
        ({"code": None, "raised": "not done after 30 s"}, "too long"),
        ({"code": 1, "err": "edgenas: internal error, KeyError: 'ms'; run again\n"}, "internal error"),
        ({"err": f"Traceback (most recent call last):\n{LINE}"}, "traceback"),
        ({"err": ""}, "not one line of error"),
        ({"err": f"{LINE}more\n"}, "not one line of error"),
        ({"err": LINE.replace("1_0", "Q" * 250)}, "echo"),
        ({"err": LINE.replace("1_0", "Q" * 200)}, None),
        ({"err": LINE.replace("1_0", "\x1b[31m")}, "control character on stderr"),
        ({"marked": True}, "foreign module imported"),
        ({"outside": ("/etc/passwd",)}, "written outside"),
        ({"grown_mb": 3000}, "memory"),
    ],
)
def test_what_is_wrong(campaign, tmp_path, changes, problem):
    case = make_case("table", 0, campaign.samples, tmp_path, lambda target: target.place == "table.csv")
    case = replace(case, harmless="", refused=frozenset({2, 3}))
    found = judge(case, replace(REFUSED, **changes), SOUND)
    assert [finding.problem for finding in found] == ([problem] if problem else [])


def test_nothing_out_of_the_folder_of_a_case_is_changed(tmp_path):
    """A command that runs as root would put its file in place of a device, too."""
    folder, outside = tmp_path / "case", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("as it was")
    (folder / "link").symlink_to(outside)
    attempts = (
        lambda: os.replace("own", outside),
        lambda: os.replace("own", "/dev/null"),
        lambda: Path("link").write_text("changed"),
        lambda: Path("../new").mkdir(),
        lambda: shutil.rmtree(".."),
    )

    def command(argv):
        Path("own").write_text("own")
        for attempt in attempts:
            with pytest.raises(PermissionError):
                attempt()
        Path("..").mkdir(exist_ok=True)
        Path("/dev/null").write_text("lost")
        return 0

    outcome = call([], folder, command)
    assert (outcome.code, outcome.raised, len(outcome.outside)) == (0, "", len(attempts))
    assert outside.read_text() == "as it was" and not (tmp_path / "new").exists()


def test_a_command_is_watched_and_leaves_no_trace(tmp_path):
    def command(argv):
        os.environ["LEFT"] = "yes"
        os.chdir("/")
        __import__(MODULE)
        os.write(1, b"by a library\n")
        print(argv[0], file=sys.stderr)
        return 3

    before = (os.getcwd(), dict(os.environ), list(sys.path))
    outcome = call(["word"], tmp_path, command)
    assert (outcome.code, outcome.out, outcome.err, outcome.marked) == (3, "by a library\n", "word\n", True)
    assert before == (os.getcwd(), dict(os.environ), list(sys.path)) and MODULE not in sys.modules


def test_a_command_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.running.LIMIT_S", 0.1)

    def command(argv):
        try:
            while True:
                pass
        except Exception:
            return 0

    assert call([], tmp_path, command).raised.startswith("not done after")


def test_time_counts_while_a_process_runs():
    with Stopwatch() as watch:
        watch._begun -= 600  # as after ten minutes of being stopped
    assert watch.seconds < 2


def test_there_are_samples_of_all_that_is_copied(tmp_path):
    names = {name for targets, _ in KINDS.values() for t in targets for name, _ in ((t.sample, t.place), *t.beside)}
    assert all(hasattr(Samples, name) for name in names)
    copied(tmp_path, tmp_path / "copy")
