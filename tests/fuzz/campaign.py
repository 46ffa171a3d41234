"""Cases one after another, each with the sound result to compare it with, and what was found."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import KINDS, Case, Target, lay_out, make_case
from tests.fuzz.oracle import Finding, Sound, judge, outcome_word, result_of
from tests.fuzz.running import Outcome, call, call_child, call_script
from tests.fuzz.samples import Samples


@dataclass(frozen=True)
class Found:
    """A finding, the case that it is of, and where its input is kept."""

    finding: Finding
    case: Case
    kept: Path

    @property
    def signature(self) -> str:
        """What findings of one cause share: the command, the problem, and its words without names and numbers."""
        last = self.finding.detail.rstrip("\n").split("\n")[-1]
        words = re.sub(r" ?\(.*\)|(['\"]).*?\1|[\w./-]*[\d/][\w./-]*", "_", last)
        if self.finding.problem == "silently different":  # what differs says less than what was done
            words = self.case.said.partition(":")[0]
        return f"{self.case.target.argv[0]}, {self.finding.problem}: {words[:100]}"


@dataclass
class Campaign:
    """Cases of a sandbox, counted.

    Args:
        samples: the sound inputs.
        root: where the folders of cases are; those with a finding stay, in `kept`.
        only: which targets are drawn; all of them, by default.
        children: whether some cases run in processes of their own.
    """

    samples: Samples
    root: Path
    only: Callable[[Target], bool] = bool
    children: bool = True
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    slowest_s: float = 0.0
    _sound: dict[Target, Sound] = field(default_factory=dict)

    def run(self, kind: str, seed: int) -> tuple[Case, Outcome, list[Finding]]:
        """Run one case, count it, and keep its input if something is wrong."""
        cases = self.root / "cases"
        shutil.rmtree(cases / f"{kind}-{seed}", ignore_errors=True)
        case = make_case(kind, seed, self.samples, cases, self.only)
        sound = self.sound(case.target)
        outcome = _done(case.argv, case.folder, case.target, child=case.child and self.children)
        findings = judge(case, outcome, sound)
        self.counts[kind, outcome_word(case, outcome, sound, findings)] += 1
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        shutil.rmtree(case.folder)
        if findings:
            kept = self.root / "kept" / f"{kind}-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            # Made once more: the command may have changed what it was given.
            make_case(kind, seed, self.samples, cases, self.only).folder.rename(kept)
            self.found += [Found(finding, case, kept) for finding in findings]
        return case, outcome, findings

    def sound(self, target: Target) -> Sound:
        """Return what a command does with the sound input; it is run once.

        Raises:
            RuntimeError: it fails, or does something that no case may do.
        """
        if target not in self._sound:
            folder = self.root / "sound"
            shutil.rmtree(folder, ignore_errors=True)
            lay_out(target, self.samples, folder)
            outcome = _done(target.argv, folder, target)
            if outcome.code != 0 and outcome.code not in target.may and not target.words.startswith("bench run"):
                raise RuntimeError(f"the sound input of `{target.words}` fails: {outcome.err}\n{outcome.raised}")
            self._sound[target] = Sound(result_of(outcome, folder, target.delivers), outcome.err)
            shutil.rmtree(folder)
        return self._sound[target]

    def report(self) -> str:
        """Return counts by kind and outcome, and each finding once, with how often it came and how to see it again."""
        return "\n".join([*self._table(), "", *self._findings()])

    def _table(self) -> Iterable[str]:
        words = sorted({word for _, word in self.counts}, key=lambda word: (word == "finding", word))
        kinds = [kind for kind in KINDS if any(name == kind for name, _ in self.counts)]
        yield "".join([f"{'kind':12}", *(f"{word:>10}" for word in words), f"{'all':>8}"])
        for kind in (*kinds, "all"):
            row = [sum(n for (k, w), n in self.counts.items() if w == word and kind in (k, "all")) for word in words]
            yield "".join([f"{kind:12}", *(f"{n or '':>10}" for n in row), f"{sum(row):>8}"])
        yield f"the slowest case took {self.slowest_s:.1f} s"

    def _findings(self) -> Iterable[str]:
        by_signature: dict[str, list[Found]] = {}
        for found in self.found:
            by_signature.setdefault(found.signature, []).append(found)
        yield f"{len(self.found)} findings, {len(by_signature)} of them distinct"
        for signature, each in sorted(by_signature.items(), key=lambda item: -len(item[1])):
            yield from ("", f"{len(each)} x {signature}", *_shown(each[0]))


def _shown(found: Found) -> Iterable[str]:
    case = found.case
    yield f"    {case.said!r:.300}"
    yield f"    cd {found.kept}; {'python' if case.target.script else 'edgenas'} {shlex.join(case.argv)!r:.300}"
    yield f"    python -m tests.fuzz --kind {case.kind} --seed {case.seed} --cases 1"
    lines = found.finding.detail.strip().split("\n")
    yield from (f"    | {line[:400]!r}"[:420] for line in lines[-12:])


def _done(argv: tuple[str, ...], folder: Path, target: Target, *, child: bool = False) -> Outcome:
    if target.script:
        return call_script(argv, folder)
    return call_child(argv, folder) if child else call(argv, folder)
