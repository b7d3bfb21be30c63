"""Puts the demo on: builds what is played with, plays, shows the table, tidies up."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flipside_qemu import device, emulator, kvm, workbench, workshop
from flipside_qemu.demo import Play
from flipside_qemu.device import Device
from flipside_qemu.evidence import Finding
from flipside_qemu.machine import Machine
from flipside_qemu.stage import Stage, stage
from flipside_qemu.story import FIRST, STORY
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.witness import Witness
from flipside_qemu.workshop import TARGET

UUID = "f11b51de-0000-4000-8000-0000000000de"


def perform(*, keep: bool) -> bool:
    """Play the demo and print its table; whether everything came as expected."""
    directory = Path(tempfile.mkdtemp(prefix="flipside-demo-"))
    with ExitStack() as stack:
        with stage() as shown:
            play = stack.enter_context(_opened(directory, shown))
            findings = play.run()
        print_table(findings)
        if keep:
            _leave_open(play.server, play.device)
    shutil.rmtree(directory, ignore_errors=True)
    return len(findings) == len(STORY) and all(finding.holds for finding in findings)


@contextmanager
def _opened(directory: Path, shown: Stage) -> Iterator[Play]:
    bench = workbench.equip(shown.say)
    shop = workshop.equip(bench)
    for chapter in STORY:
        shown.say(f"building version {chapter.version}")
        shop.bundle(chapter)
    server = UpdateServer(directory / "server", free_port())
    server.start()
    try:
        disk = shop.disk(FIRST, directory / "disk", provision(server))
        machine = Machine(disk.image, disk.variables, uuid=UUID, serial=TARGET)
        witness = Witness(shown.device)
        qemu = emulator.find(bench.cache)
        machine = kvm.accelerated(machine, qemu, bench.cache)
        unit = device.fresh(machine, qemu, directory / "device", hear=witness.hear)
        with unit:
            yield Play(shop, server, unit, witness, shown)
    finally:
        server.stop()


def provision(server: UpdateServer, target: str = TARGET) -> dict[str, bytes]:
    """What a new device is given on its data partition: a server, a name and a token."""
    token = server.add_target(target)
    text = (
        f'[server]\nurl = "{server.url}"\n\n'
        f'[device]\ncontroller_id = "{target}"\ntarget_token = "{token}"\n'
    )
    return {"flipside/device.toml": text.encode()}


def print_table(findings: Sequence[Finding]) -> None:
    """The bill: what was shipped, what came of it, why, and what it cost."""
    table = Table(title="What came of each update", title_justify="left")
    for name in ("version", "what happened", "why", "seconds", "bytes", ""):
        table.add_column(name, justify="right" if name in ("seconds", "bytes") else "left")
    for finding in findings:
        table.add_row(
            finding.chapter.version,
            finding.happened,
            Text(finding.why),
            f"{finding.seconds:.0f}",
            f"{finding.fetched:,}",
            Text("as expected", "green")
            if finding.holds
            else Text("; ".join(finding.contradictions), "red"),
        )
    # Without a terminal nobody can widen the window: lines are as long as they need to be.
    Console(width=None if Console().is_terminal else 200).print(table)


def _leave_open(server: UpdateServer, unit: Device) -> None:
    console = Console()
    console.print(f"The server:  flipside-server show --data {server.data}")
    console.print(f"             {server.host_url}")
    console.print("The device:  its console is this prompt; an empty line ends everything.")
    while command := console.input("device# ").strip():
        console.print(unit.shell.run(command, within=300).output, markup=False)
