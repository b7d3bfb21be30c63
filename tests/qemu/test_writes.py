"""Every write counted: a whole update, cut off at each write that it makes.

The update is recorded once, in a real device. Then every cut is looked at, and one of every class
is booted. ``docs/power-cuts.md`` tells how it works and what it does not prove.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from flipside_agent.states import Status
from flipside_qemu import cuts, workshop
from flipside_qemu.aftermath import Loader
from flipside_qemu.console import BOOT
from flipside_qemu.counted_grub import CountedGrub
from flipside_qemu.cuts import Kind
from flipside_qemu.emulator import Emulator
from flipside_qemu.findings import Finding, classes, drawn, table
from flipside_qemu.harm import Harm
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import SHOWN, Workshop
from flipside_qemu.write_log import Flag
from models import counted_systemd_boot, stock_grub
from models.flight import Flight
from models.kits import Kit
from models.recorded_update import ACTION, VERSION, RecordedUpdate
from models.stock_grub import StockGrub

GRUB, SYSTEMD_BOOT = "qemu-x86_64", "qemu-x86_64-systemd-boot"
pytestmark = [
    pytest.mark.boards(GRUB, SYSTEMD_BOOT),
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]

Say = Callable[[str], None]

KEPT, CUTS = "FLIPSIDE_RECORDINGS", "FLIPSIDE_CUTS"
"""In the environment: where recordings were kept, and the numbers of the cuts to be booted."""
SEED = 4
BOOTED = 40
"""Cuts that are booted at least: one of every class, and others."""
FIRST_WORDS = r"flipside: (?!slot )(.*?)\s*$"
TRIAL = "flipside.trial=1"
ROUNDS = 3
"""So often a device starts over before it is called a brick."""
STARTS_OVER = r"flipside: no slot to boot, starting over"


LOADERS: dict[str, Callable[[Workshop], Loader]] = {
    GRUB: lambda _: CountedGrub(),
    SYSTEMD_BOOT: lambda shop: counted_systemd_boot.of(shop, "1", VERSION),
}
"""What says how a device with these images boots."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where recordings are made; or where they were, if they are to be looked at again."""
    kept = os.environ.get(KEPT)
    return Path(kept) if kept else tmp_path_factory.mktemp("writes")


@pytest.fixture(scope="module")
def ours(shop: Workshop, qemu: Emulator, place: Path, kit: Kit) -> RecordedUpdate:
    """An update of the device as it is."""
    update = RecordedUpdate(place / "ours", qemu, shop, LOADERS[kit.board.name](shop))
    if not update.place.exists():
        update.record()
    return update


@pytest.fixture(scope="module")
def stock(bench: Workbench, qemu: Emulator, place: Path) -> RecordedUpdate:
    """The same with the boot loader's script, the backend and the tool that everybody has."""
    shop = workshop.equip(bench, files={**SHOWN, **stock_grub.layer(bench.toolbox)})
    update = RecordedUpdate(place / "stock", qemu, shop, StockGrub())
    if not update.place.exists():
        update.record(lambda image: stock_grub.move_in(bench.toolbox, image))
    return update


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Tells whoever waits."""

    def said(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    return said


@pytest.fixture(scope="module")
def findings(ours: RecordedUpdate) -> list[Finding]:
    """Every cut of it, looked at."""
    return ours.findings(cuts.of(ours.recording, SEED))


def test_no_cut_of_an_update_bricks_lies_or_forgets(
    findings: list[Finding], place: Path, say: Say, kit: Kit
) -> None:
    say(table(findings))
    wrong = [finding for finding in findings if finding.violations]
    if kit.board.name == SYSTEMD_BOOT:
        wrong = [finding for finding in wrong if not is_known_harm(finding)]
    assert not wrong, told(place, wrong)


def is_known_harm(finding: Finding) -> bool:
    """Whether it may be the firmware's torn rename, which is open: issue 6, docs/power-cuts.md.

    Wider than that: any torn write to the boot partition, if it neither bricks nor forgets.
    """
    known = {Harm.ROLLED_BACK, Harm.LIE}
    return finding.cut.kind is Kind.TORN and finding.partition == "esp" and harms(finding) <= known


def test_without_its_flushes_the_same_update_is_found_wanting(ours: RecordedUpdate) -> None:
    log = ours.recording.log
    hasty = replace(log, entries=tuple(replace(entry, flags=Flag(0)) for entry in log.entries))
    first, *others = cuts.of(replace(ours.recording, log=hasty), SEED)
    reordered = [cut for cut in others if cut.kind in (Kind.ONLY, Kind.SOME)]
    assert {Harm.BRICK, Harm.FORGOTTEN} <= harms(*ours.findings([first, *reordered]))


def test_cuts_of_every_class_come_up_as_foretold(
    ours: RecordedUpdate, findings: list[Finding], place: Path, say: Say
) -> None:
    wanted = [int(number) for number in os.environ.get(CUTS, "").split()]
    chosen = [findings[number] for number in sorted(wanted)] or drawn(findings, BOOTED, SEED)
    say(f"{len(findings)} cuts, {len(classes(findings))} classes, in {place}; booted are:")
    with ours.cutting() as cut_off:
        for finding in chosen:
            say(f"{finding.number:5} {finding.phase:32} {finding.cut!s:40} {finding.outcome}")
            with cut_off(finding) as flight:
                comes_up_as_foretold(flight, finding)


def test_an_update_that_was_cut_off_while_it_copied_lands_and_the_next_one_too(
    ours: RecordedUpdate, findings: list[Finding]
) -> None:
    copying = [finding for finding in findings if finding.partition == "root-b"]
    with ours.cutting() as cut_off, cut_off(copying[len(copying) // 2]) as flight:
        flight.server.start()
        flight.device.boot()
        flight.lands(ACTION)
        flight.good_update()


@pytest.mark.boards(GRUB)
def test_the_stock_scheme_is_bricked_by_cuts(stock: RecordedUpdate, say: Say) -> None:
    whole = [cut for cut in cuts.of(stock.recording, SEED) if cut.kind is not Kind.TORN]
    found = stock.findings(whole)
    say(table(found))
    bricks = [finding for finding in found if Harm.BRICK in harms(finding)]
    assert bricks
    with stock.cutting() as cut_off, cut_off(Random(SEED).choice(bricks)) as flight:
        flight.device.power_on()
        for _ in range(ROUNDS):
            flight.device.shell.wait_for(STARTS_OVER, within=BOOT)


def comes_up_as_foretold(flight: Flight, finding: Finding) -> None:
    """Boot it: what it starts, says first, rests at, has written down, and has told the server."""
    foretold, shell = finding.expected, flight.device.shell
    assert foretold is not None
    landed = foretold.slot == "B"
    if landed:
        flight.server.start()  # else the device would go on with its update while it is looked at
    flight.device.power_on()
    started = shell.wait_for(r"^flipside: slot (\w) ?(\S*)", within=BOOT)
    assert (started[1], started[2] == TRIAL) == (foretold.slot, foretold.trial)
    assert shell.wait_for(FIRST_WORDS, within=BOOT)[1] == foretold.words
    shell.wait_for(f"flipside: {Status.IDLE if landed else foretold.after}", within=BOOT)
    assert flight.version() == (VERSION if landed else "1")
    assert flight.is_confirmed(foretold.slot)
    belief = flight.result(ACTION) if landed else flight.server.belief(ACTION)
    assert belief.state == "finished" if landed else not belief.closed, belief
    told_of = [entry for entry in flight.history() if entry["action"] == str(ACTION)]
    assert [entry["verdict"] for entry in told_of] == (["success"] if landed else [])


def harms(*findings: Finding) -> set[Harm]:
    return {violation.harm for finding in findings for violation in finding.violations}


def told(place: Path, findings: list[Finding]) -> str:
    """Everything that is wrong with some cuts, and how they are made again."""
    numbers = " ".join(str(finding.number) for finding in findings)
    return f"make them again with {KEPT}={place} {CUTS}='{numbers}'\n" + "\n".join(
        f"cut {finding.number} ({finding.cut}, {finding.phase.strip()}): {violation.what}"
        for finding in findings
        for violation in finding.violations
    )
