"""What was found at the cuts of a recording: judged, sorted into classes, and put in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from flipside_agent.states import sentence
from flipside_qemu.aftermath import (
    Cycle,
    Expectation,
    Remains,
    ended,
    entries,
    expected,
    is_written,
    ordinary,
    story,
)
from flipside_qemu.cuts import Cut
from flipside_qemu.harm import Violation, violations
from flipside_qemu.recording import Mark

EXAMPLES = 3
"""Cuts that each row of the table names."""


class Seen(NamedTuple):
    """One cut, and what it has left on the disk."""

    number: int
    """Its place among the cuts of the recording, by which it is cut again."""
    cut: Cut
    partition: str
    """Where the write is that it is about; empty if that is outside of all partitions."""
    remains: Remains


@dataclass(frozen=True, slots=True)
class Finding:
    """One cut, and what is wrong with it."""

    number: int
    cut: Cut
    partition: str
    phase: str
    """What the device was doing."""
    expected: Expectation | None
    violations: tuple[Violation, ...]
    kind: Hashable

    @property
    def outcome(self) -> str:
        """In a few words."""
        if self.violations:
            return " and ".join(dict.fromkeys(each.harm for each in self.violations)).upper()
        assert self.expected is not None, "nothing boots, and nobody complains"
        trial = " on trial" if self.expected.trial else ""
        return f"{self.expected.slot}{trial}, then {self.expected.after}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A sentence that was heard, and what it proves."""

    entries: int
    """So many entries of the log were on the disk by then."""
    phase: str
    """What the device was doing from then on."""
    serial: int
    """The record of the journal that was spoken of, or the one before it; 0 for none."""


def timeline(marks: Iterable[Mark], spoken: Mapping[int, str]) -> list[Moment]:
    """The moments of a recording.

    ``spoken`` is the sentence that belongs to each record, by serial. The agent writes a record
    down before it says its sentence, so each sentence acknowledges the next record that has it.
    """
    moments = [Moment(0, " 0 power on", 0)]
    for mark in marks:
        last = moments[-1].serial
        serials = sorted(n for n, words in spoken.items() if n > last and words == mark.words)
        if serials or mark.words.startswith("slot "):
            phase = f"{len(moments):2} {mark.words.strip()}"
            moments.append(Moment(mark.entries, phase, serials[0] if serials else last))
    return moments


def judged(cycle: Cycle, marks: Iterable[Mark], cuts: Sequence[Seen]) -> list[Finding]:
    """The findings of all cuts of a recording."""
    told = [story(seen.remains) for seen in cuts]
    moments = timeline(marks, {one.serial: sentence(one.record.state) for one in told})
    return [_judged(cycle, seen, _before(moments, seen.cut.kept)) for seen in cuts]


def kind_of(cycle: Cycle, remains: Remains) -> Hashable:
    """What decides about the next boot: two cuts that are alike in this are of one class."""
    state = ordinary(story(remains).record.state)
    over = ended(state)
    return (
        tuple(cycle.loader.attempts(remains.boot)),
        tuple(sorted(remains.slots.items())),
        (type(story(remains).record.state), type(state), over and over.outcome.verdict),
        len(entries(remains)),
        is_written(cycle, remains),
        tuple(sorted({violation.harm for violation in violations(cycle, remains)})),
    )


def classes(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that have the same future, together."""
    found: defaultdict[Hashable, list[Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.kind].append(finding)
    return list(found.values())


def drawn(findings: Sequence[Finding], at_least: int, seed: int) -> list[Finding]:
    """One finding of each class, and as many others as are missing, by their numbers."""
    random = Random(seed)  # noqa: S311 - it draws samples, not secrets
    chosen = {random.choice(members).number for members in classes(findings)}
    others = [finding.number for finding in findings if finding.number not in chosen]
    chosen.update(random.sample(others, min(len(others), max(0, at_least - len(chosen)))))
    return [finding for finding in findings if finding.number in chosen]


def table(findings: Iterable[Finding]) -> str:
    """Outcome by phase and partition, with the numbers of some cuts to be made again."""
    rows: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for finding in findings:
        rows[finding.phase, finding.partition, finding.outcome].append(finding.number)
    lines = [f"{'phase':32} {'partition':10} {'outcome':28} {'cuts':>5}  such as"]
    for (phase, partition, outcome), numbers in sorted(rows.items()):
        such = " ".join(map(str, numbers[:: max(1, len(numbers) // EXAMPLES)][:EXAMPLES]))
        lines.append(f"{phase:32} {partition:10} {outcome:28} {len(numbers):5}  {such}")
    return "\n".join(lines)


def _judged(cycle: Cycle, seen: Seen, moment: Moment) -> Finding:
    return Finding(
        number=seen.number,
        cut=seen.cut,
        partition=seen.partition,
        phase=moment.phase,
        expected=expected(cycle, seen.remains),
        violations=tuple(violations(cycle, seen.remains, moment.serial)),
        kind=kind_of(cycle, seen.remains),
    )


def _before(moments: Sequence[Moment], kept: int) -> Moment:
    """The last moment that had come when so many entries were on the disk."""
    return [moment for moment in moments if moment.entries <= kept][-1]
