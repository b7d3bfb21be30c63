"""One whole update of a virtual device, every write of which was recorded, to be cut anywhere."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

from flipside_qemu import device, image, kvm, recording
from flipside_qemu.aftermath import Cycle, Loader
from flipside_qemu.console import BOOT
from flipside_qemu.cuts import Cut
from flipside_qemu.device import Device
from flipside_qemu.emulator import Emulator
from flipside_qemu.findings import Finding, judged
from flipside_qemu.fingerprint import filled
from flipside_qemu.image import Image
from flipside_qemu.machine import SECTOR, Machine
from flipside_qemu.recording import Recorder, Recording
from flipside_qemu.remains import STRETCHES, Reader
from flipside_qemu.replay import replaying
from flipside_qemu.survey import survey
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import UpdateServer, free_port
from flipside_qemu.workshop import NAME, TARGET, Workshop
from models.flight import LANDED, Flight

UUID = "f11b51de-0000-4000-8000-00000000c075"
VERSION = "2"
WAITING = "waiting"
"""Data of a server that has assigned the update, and never heard of what became of it."""
ACTION = 1
"""Id of the update's action: the first one of its server."""
FACTS = "facts.json"
REST = r"flipside: idle$"
WRITE_BACK = 8.0
"""Seconds after which the guest's kernel has written what nobody flushed: ext4 commits every 5."""

CutOff = Callable[[Finding], AbstractContextManager[Flight]]
"""Gives a device that has a cut's disk, and a server that has assigned the update and knows nothing
of what became of it; both are off."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be known of a recording besides its files."""

    port: int
    """Of the update server; the device has it on its disk."""
    shipped: int
    """The fingerprint of slot B when all of the new image is in it."""


@dataclass(frozen=True)
class RecordedUpdate:
    """What is needed to look at the cuts of an update, and to boot them."""

    place: Path
    emulator: Emulator
    shop: Workshop
    loader: Loader
    """The model of its boot loader."""

    @cached_property
    def recording(self) -> Recording:
        """The writes, and the words on the console."""
        return recording.load(self.machine.disk, self.place)

    @cached_property
    def facts(self) -> Facts:
        """What was kept of it."""
        return Facts(**json.loads((self.place / FACTS).read_text()))

    @property
    def machine(self) -> Machine:
        """The device before its first boot."""
        disk, variables = self.place / "disk/disk.raw", self.place / "disk/variables.fd"
        return Machine(disk, variables, uuid=UUID, serial=TARGET)

    def findings(self, cuts: Sequence[Cut]) -> list[Finding]:
        """What is found at these cuts, without booting them."""
        reader = Reader(self.shop.bench.toolbox, self.facts.shipped)
        seen = survey(self.recording, cuts, reader, self.place)
        cycle = Cycle(self.loader, seen[0].remains, str(ACTION))
        return judged(cycle, self.recording.marks, seen)

    @contextmanager
    def cutting(self) -> Iterator[CutOff]:
        """Cuts this update off, at one finding after the other, by rising number."""
        work = self.place / "work.raw"
        with replaying(self.recording, work, STRETCHES) as replay:

            @contextmanager
            def cut_off(finding: Finding) -> Iterator[Flight]:
                with (
                    replay.at(finding.cut),
                    self._waiting() as server,
                    self._device(work, f"cut-{finding.number}") as unit,
                ):
                    yield Flight(self.shop, server, unit, count(int(VERSION) + 1))

            yield cut_off

    @contextmanager
    def _waiting(self) -> Iterator[UpdateServer]:
        data = self.place / "server-of-cut"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.place / WAITING, data)
        server = UpdateServer(data, self.facts.port)
        try:
            yield server
        finally:
            server.stop()

    @contextmanager
    def _device(self, disk: Path, name: str) -> Iterator[Device]:
        """A device with this disk; what it wrote is kept if anything goes wrong."""
        machine = kvm.accelerated(self.machine, self.emulator, self.shop.bench.cache)
        directory = self.place / name
        with device.fresh(replace(machine, disk=disk), self.emulator, directory) as unit:
            yield unit
        shutil.rmtree(directory)

    def record(self, equip: Callable[[Path], None] = lambda _: None) -> None:
        """Have a new device take an update; `equip` changes its disk before the first boot."""
        server = UpdateServer(self.place / "server", free_port())
        server.start()
        equip(self.shop.disk("1", self.place / "disk", provision(server)).image)
        bundle = self.shop.ship(VERSION, {})
        metadata = {"flipside.manifest-hash": bundle.manifest_hash}
        server.add_bundle(bundle.path, NAME, VERSION, metadata)
        self._keep_facts(server.port)
        recorder = Recorder(self.place)
        machine = kvm.accelerated(self.machine, self.emulator, self.shop.bench.cache)
        with recorder.device(machine, self.emulator) as unit:
            self._fly(unit, server)
        recorder.save()
        server.stop()

    def _fly(self, unit: Device, server: UpdateServer) -> None:
        """First boot, update, one more boot."""
        unit.boot()
        unit.shell.wait_for(REST, within=BOOT)
        server.stop()
        shutil.copytree(server.data, self.place / WAITING)
        UpdateServer(self.place / WAITING, server.port).assign(TARGET, NAME, VERSION)
        server.start()
        server.assign(TARGET, NAME, VERSION)
        unit.shell.wait_for(r"flipside: reporting", within=LANDED)
        unit.shell.wait_for(REST, within=BOOT)
        unit.reboot()
        unit.shell.wait_for(REST, within=BOOT)
        time.sleep(WRITE_BACK)  # no event tells that the kernel has nothing left to write

    def _keep_facts(self, port: int) -> None:
        new = Image(VERSION, self.shop.keyring(), self.shop.files)
        shipped = image.build(self.shop.bench, self.shop.rootfs, new)
        whole = filled(self.machine.disk, STRETCHES["root-b"].start, shipped, SECTOR)
        (self.place / FACTS).write_text(json.dumps(asdict(Facts(port, whole))))
