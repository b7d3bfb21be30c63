"""The RAUC adapter against a RAUC that lies as the real one does, on a real message bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flipside_agent.bus import Bus
from flipside_agent.rauc import RAUC, Patience, Rauc
from flipside_agent.rauc_dialect import (
    BundleRefused,
    BundleUnreachable,
    InstallLost,
    RaucBusy,
    RaucFailed,
    booted,
    find,
)
from models.message_bus import PrivateBus
from models.rauc_service import ModelBundle, RaucService

URL = "http://127.0.0.1:4711/bundle"
HEADERS = {"Authorization": "Bearer secret"}
HASH = "aa" * 32
PATIENT = Patience(whole=30, pause=0.01, silence=30)
HASTY = Patience(whole=0, pause=0.01, silence=30)


@pytest.fixture(name="wire")
def _wire(tmp_path: Path) -> Iterator[PrivateBus]:
    with PrivateBus(tmp_path) as wire:
        yield wire


class Scene:
    """A device's bus with the model of RAUC and our adapter on it."""

    def __init__(self, wire: PrivateBus, release: tuple[int, int], patience: Patience) -> None:
        self.bus = Bus(wire.address)
        self.model = RaucService(wire.address, release)
        self.rauc = Rauc(self.bus, patience)
        self.progress: list[tuple[int, str]] = []
        self._told_of_copying = asyncio.Event()

    def install(self, manifest_hash: str = HASH) -> asyncio.Task[None]:
        return asyncio.create_task(
            self.rauc.install(URL, HEADERS, manifest_hash, self._on_progress)
        )

    async def installation_in_the_middle(self) -> asyncio.Task[None]:
        """An installation that RAUC has told us it is in the middle of."""
        self.model.go_on.clear()
        installation = self.install()
        await self._told_of_copying.wait()
        return installation

    def _on_progress(self, percent: int, text: str) -> None:
        self.progress.append((percent, text))
        if text.startswith("Copying"):
            self._told_of_copying.set()

    async def somebody_else_installs(self) -> None:
        """Another program asks for an installation, at whatever moment."""
        other = Bus(self.bus._address)
        with suppress(Exception):  # whether RAUC takes it is not this program's concern
            await other.call(RAUC, "InstallBundle", "sa{sv}", "other", {})
        await other.close()


def play(
    wire: PrivateBus,
    story: Callable[[Scene], Awaitable[None]],
    *,
    release: tuple[int, int] = (1, 13),
    patience: Patience = PATIENT,
    powered: bool = True,
) -> None:
    async def scene() -> None:
        stage = Scene(wire, release, patience)
        stage.model.bundles = {URL: ModelBundle(), "other": ModelBundle(manifest_hash="bb" * 32)}
        if powered:
            await stage.model.power_on()
        await story(stage)
        await stage.bus.close()

    asyncio.run(scene())


def test_inspection_names_the_bundle(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        info = await scene.rauc.inspect(URL, HEADERS)
        assert (info.manifest_hash, info.version, info.compatible) == (HASH, "2", "flipside-qemu")
        assert scene.model.headers == ["Authorization: Bearer secret"]

    play(wire, story)


def test_inspection_of_a_badly_signed_bundle_blames_the_update(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        text = "signature verification failed: Verify error: self-signed certificate"
        scene.model.bundles[URL] = ModelBundle(inspect_error=text)
        with pytest.raises(BundleRefused, match="self-signed certificate"):
            await scene.rauc.inspect(URL, HEADERS)

    play(wire, story)


def test_a_rauc_without_inspection_is_too_old(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(RaucFailed, match=r"has no InspectBundle.*1\.13"):
            await scene.rauc.inspect(URL, HEADERS)

    play(wire, story, release=(1, 8))


@pytest.mark.parametrize(
    ("release", "keys"),
    [
        ((1, 8), {"http-headers"}),
        ((1, 13), {"http-headers", "transaction-id"}),
        ((1, 15), {"http-headers", "transaction-id", "require-manifest-hash"}),
    ],
)
def test_install_gives_every_argument_that_this_rauc_knows(
    wire: PrivateBus, release: tuple[int, int], keys: set[str]
) -> None:
    async def story(scene: Scene) -> None:
        await scene.install()
        await scene.install()
        assert scene.model.install_keys == [keys, keys]
        attempts = 3 - len(keys) + 2  # what was unknown once is not tried again
        assert scene.model.calls.count("InstallBundle") == attempts
        assert find(await scene.rauc.slots(), "B").status == "ok"

    play(wire, story, release=release)


def test_access_to_the_bundle_is_never_left_out(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(RaucFailed, match="http-headers"):
            await scene.install()
        assert scene.model.install_keys == []

    play(wire, story, release=(1, 5))


def test_progress_is_passed_on_in_order(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        await scene.install()
        assert scene.progress == [
            (0, "Installing"),
            (20, "Checking bundle"),
            (46, "Copying image to rootfs.1"),
            (100, "Installing done."),
        ]

    play(wire, story)


def test_a_failure_that_ends_at_100_per_cent_is_a_failure(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        text = "Installation error: Slot (1024 bytes) is too small for image (4096 bytes)."
        scene.model.bundles[URL] = ModelBundle(install_error=text)
        with pytest.raises(BundleRefused, match="too small"):
            await scene.install()
        assert scene.progress[-1] == (100, "Installing failed.")

    play(wire, story)


def test_a_bundle_other_than_the_inspected_one_is_refused(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(BundleRefused, match="unexpected hash"):
            await scene.install("cc" * 32)
        assert find(await scene.rauc.slots(), "B").status == ""

    play(wire, story, release=(1, 14))


def test_a_bundle_that_cannot_be_fetched_blames_the_network(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        text = (
            f"Failed to stream bundle {URL}: failed to configure streaming: server not responding"
        )
        scene.model.bundles[URL] = ModelBundle(inspect_error=text)
        with pytest.raises(BundleUnreachable, match="server not responding"):
            await scene.install()

    play(wire, story)


def test_idle_is_not_the_end_of_an_installation(wire: PrivateBus) -> None:
    """A second caller is refused, and RAUC says idle while the first installation goes on."""

    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        await scene.somebody_else_installs()
        assert await scene.bus.get(RAUC, "Operation") == "idle"
        await asyncio.sleep(0)
        assert not installation.done()
        scene.model.go_on.set()
        await installation
        assert find(await scene.rauc.slots(), "B").manifest_hash == HASH

    play(wire, story)


@pytest.mark.parametrize("result", [0, 1])
def test_somebody_elses_completion_is_not_ours(wire: PrivateBus, result: int) -> None:
    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        asked = scene.model.calls.count("GetSlotStatus")
        scene.model.complete(result)
        await scene.model.until_called("GetSlotStatus", asked + 1)  # the adapter asks
        assert await scene.rauc.compatible() == "flipside-qemu"  # a round trip: it has its answer
        assert not installation.done()
        scene.model.go_on.set()
        await installation

    play(wire, story)


def test_an_installation_of_somebody_elses_bundle_is_not_a_success(wire: PrivateBus) -> None:
    """What completed was another bundle in the same slot, and all is well with that one."""

    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        scene.model.replace_work("other")
        scene.model.go_on.set()
        with pytest.raises(RaucFailed, match="not the one that was asked for"):
            await installation

    play(wire, story)


def test_a_forged_completion_is_ignored(wire: PrivateBus) -> None:
    """A local user may send signals straight to us: they are not RAUC's."""

    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        calls = len(scene.model.calls)
        assert scene.bus._link is not None
        await RaucService(wire.address).forge_completion(str(scene.bus._link.unique_name))
        assert await scene.rauc.compatible() == "flipside-qemu"  # by now the forgery is here
        assert len(scene.model.calls) == calls
        assert not installation.done()
        scene.model.go_on.set()
        await installation

    play(wire, story)


def test_rauc_dying_ends_the_installation_with_an_error(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        scene.model.power_off()
        with pytest.raises(InstallLost, match="left the message bus"):
            await installation
        await scene.model.power_on()
        assert find(await scene.rauc.slots(), "B").status == "pending"
        scene.model.go_on.set()
        await scene.install()
        assert find(await scene.rauc.slots(), "B").status == "ok"

    play(wire, story)


def test_the_bus_dying_ends_the_installation_with_an_error_and_it_is_found_again(
    wire: PrivateBus,
) -> None:
    async def story(scene: Scene) -> None:
        installation = await scene.installation_in_the_middle()
        wire.power_off()
        with pytest.raises(InstallLost, match="hung up"):
            await installation
        wire.power_on()
        await scene.model.power_on()
        scene.model.go_on.set()
        await scene.install()
        assert booted(await scene.rauc.slots()).bootname == "A"

    play(wire, story)


def test_a_lost_completion_does_not_hang_the_agent(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        scene.model.loses_completions = True
        await scene.install()

    play(wire, story, patience=Patience(whole=30, pause=0.01, silence=0.05))


def test_a_busy_rauc_is_waited_for(wire: PrivateBus) -> None:
    """As after a restart of the agent: the installation of its previous life still goes on."""

    async def story(scene: Scene) -> None:
        scene.model.go_on.clear()
        await scene.somebody_else_installs()
        await scene.model.copying.wait()
        inspection = asyncio.create_task(scene.rauc.inspect(URL, HEADERS))
        marking = asyncio.create_task(scene.rauc.mark("good", "booted"))
        installation = scene.install()
        for member in ("InspectBundle", "Mark", "GetSlotStatus"):
            await scene.model.until_called(member, 2)  # it was refused and tries again
        assert await scene.rauc.compatible() == "flipside-qemu"  # properties work all the time
        assert scene.model.calls.count("InstallBundle") == 1
        scene.model.go_on.set()
        await asyncio.gather(inspection, marking, installation)
        assert find(await scene.rauc.slots(), "B").manifest_hash == HASH

    play(wire, story)


def test_a_rauc_that_died_in_the_middle_is_waited_for_until_all_of_it_is_gone(
    wire: PrivateBus,
) -> None:
    """Its process may hang in the kernel for minutes, and what it has mounted as well."""

    async def story(scene: Scene) -> None:
        scene.model.still_stopping = scene.model.leftovers = 3
        await scene.install()
        assert find(await scene.rauc.slots(), "B").status == "ok"
        assert (scene.model.still_stopping, scene.model.leftovers) == (0, 0)

    play(wire, story)


def test_a_busy_rauc_is_not_waited_for_for_ever(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        scene.model.go_on.clear()
        await scene.somebody_else_installs()
        await scene.model.copying.wait()
        with pytest.raises(RaucBusy, match="already processing"):
            await scene.rauc.slots()

    play(wire, story, patience=HASTY)


def test_a_rauc_that_starts_late_is_waited_for(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        slots = asyncio.create_task(scene.rauc.slots())
        await asyncio.sleep(0)
        await scene.model.power_on()
        assert booted(await slots).name == "rootfs.0"

    play(wire, story, powered=False)


def test_slots_are_found_by_name_and_not_by_order(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        slots = await scene.rauc.slots()
        assert [slot.name for slot in slots] == ["rootfs.0", "rootfs.1"]
        assert booted(slots).bootname == "A"
        assert find(slots, "B").name == "rootfs.1"

    play(wire, story)


def test_an_unconfirmed_slot_has_no_primary_and_needs_none(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        scene.model.slots["rootfs.0"].boot_status = "bad"
        assert booted(await scene.rauc.slots()).boot_status == "bad"
        await scene.rauc.mark("good", "booted")
        assert booted(await scene.rauc.slots()).boot_status == "good"
        assert "GetPrimary" not in scene.model.calls

    play(wire, story)


def test_marking_a_slot_that_is_not_there_fails(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(RaucFailed, match=r"No slot .* name rootfs\.7"):
            await scene.rauc.mark("bad", "rootfs.7")

    play(wire, story)


def test_the_running_slot_is_known(wire: PrivateBus) -> None:
    async def story(scene: Scene) -> None:
        assert await scene.rauc.compatible() == "flipside-qemu"

    play(wire, story)
