"""The message bus connection: losses are noticed, nothing hangs, nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_next.signature import Variant

from flipside_agent.bus import Bus, PeerRefused, Typed, plain, wire
from flipside_agent.inbox import DAEMON, BusLost, Peer, PeerLost, PeerSilent
from flipside_agent.rauc import RAUC
from models.message_bus import PrivateBus
from models.rauc_service import RaucService


@pytest.fixture(name="daemon")
def _daemon(tmp_path: Path) -> Iterator[PrivateBus]:
    with PrivateBus(tmp_path) as daemon:
        yield daemon


def test_values_lose_and_gain_their_variants_however_deep() -> None:
    sent = {"a": Typed("as", ["x"]), "b": Typed("a{sv}", {"c": Typed("t", 1 << 40)})}
    typed = {
        "a": Variant("as", ["x"]),
        "b": Variant("a{sv}", {"c": Variant("t", 1 << 40)}),
    }
    assert wire([sent]) == [typed]
    assert plain([typed]) == [{"a": ["x"], "b": {"c": 1 << 40}}]


def test_the_name_of_nobody_is_a_lost_peer(daemon: PrivateBus) -> None:
    async def story() -> None:
        bus = Bus(daemon.address)
        with pytest.raises(PeerLost, match=r"de\.pengutronix\.rauc is not on the message bus"):
            await bus.call(RAUC, "GetSlotStatus")
        await bus.close()

    asyncio.run(story())


def test_an_error_answer_keeps_its_name_and_text(daemon: PrivateBus) -> None:
    async def story() -> None:
        bus = Bus(daemon.address)
        with pytest.raises(PeerRefused) as caught:
            await bus.call(DAEMON, "AddMatch", "s", "nonsense='1'")
        assert caught.value.name == "org.freedesktop.DBus.Error.MatchRuleInvalid"
        assert "nonsense" in caught.value.text
        await bus.close()

    asyncio.run(story())


def test_a_peer_that_never_answers_is_not_waited_for_for_ever(daemon: PrivateBus) -> None:
    async def story() -> None:
        mute = Bus(daemon.address)
        await mute.call(DAEMON, "RequestName", "su", "org.example.Mute", 0)
        assert mute._link is not None
        mute._link.add_message_handler(lambda message: message.member == "Speak")
        bus = Bus(daemon.address)
        peer = Peer("org.example.Mute", "/", "org.example.Mute")
        with pytest.raises(PeerSilent, match=r"did not answer Speak within 0\.05 s"):
            await bus.call(peer, "Speak", within=0.05)
        await bus.close()
        await mute.close()

    asyncio.run(story())


def test_methods_are_found_by_introspection(daemon: PrivateBus) -> None:
    async def story() -> None:
        model = RaucService(daemon.address, (1, 8))
        await model.power_on()
        bus = Bus(daemon.address)
        methods = await bus.methods(RAUC)
        assert "InstallBundle" in methods
        assert "InspectBundle" not in methods
        await bus.close()

    asyncio.run(story())


def test_a_missing_bus_is_lost_and_found_when_it_comes(tmp_path: Path) -> None:
    async def story() -> None:
        bus = Bus(f"unix:path={tmp_path / 'bus'}")
        with pytest.raises(BusLost, match="cannot be reached"):
            await bus.call(DAEMON, "GetId")
        with PrivateBus(tmp_path):
            assert await bus.call(DAEMON, "GetId")
            await bus.close()

    asyncio.run(story())


def test_a_bus_that_hangs_up_during_authentication_does_not_spin(tmp_path: Path) -> None:
    """dbus-next alone would read nothing for ever without yielding to anybody."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()  # otherwise the kernel would call it a reset
        writer.close()

    async def story() -> None:
        path = str(tmp_path / "rude")
        server = await asyncio.start_unix_server(hang_up, path)
        with pytest.raises(BusLost, match="did not let us in"):
            await Bus(f"unix:path={path}").call(DAEMON, "GetId")
        server.close()

    asyncio.run(story())


def test_the_end_of_the_bus_is_noticed_while_waiting_for_an_answer(daemon: PrivateBus) -> None:
    async def story() -> None:
        mute = Bus(daemon.address)
        await mute.call(DAEMON, "RequestName", "su", "org.example.Mute", 0)
        assert mute._link is not None
        heard = asyncio.Event()

        def keep_silent(_: object) -> bool:
            heard.set()
            return True

        mute._link.add_message_handler(keep_silent)
        bus = Bus(daemon.address)
        call = asyncio.create_task(bus.call(Peer("org.example.Mute", "/", "a.b"), "Speak"))
        await heard.wait()
        daemon.power_off()
        with pytest.raises(BusLost, match="hung up"):
            await call

    asyncio.run(story())


def test_the_end_of_the_bus_is_noticed_while_only_listening(daemon: PrivateBus) -> None:
    async def story() -> None:
        bus = Bus(daemon.address)
        async with bus.listen(RAUC) as inbox:
            daemon.power_off()
            with pytest.raises(BusLost, match="hung up"):
                await inbox.next(within=30)

    asyncio.run(story())


def test_a_hundred_lost_connections_leave_no_file_open(daemon: PrivateBus) -> None:
    async def story() -> None:
        bus = Bus(daemon.address)
        await bus.call(DAEMON, "GetId")
        before = _open_files()
        for _ in range(100):
            async with bus.listen(RAUC) as inbox:
                assert bus._link is not None
                bus._link._sock.shutdown(socket.SHUT_RDWR)
                with pytest.raises(BusLost):
                    await inbox.next(within=30)
            await bus.call(DAEMON, "GetId")
        assert _open_files() == before
        await bus.close()
        assert _open_files() == before - 1

    asyncio.run(story())


def _open_files() -> int:
    gc.collect()  # what other tests left behind is not counted
    return len(list(Path("/proc/self/fd").iterdir()))


def test_match_rules_do_not_pile_up(daemon: PrivateBus) -> None:
    """The bus gives a connection 512 of them."""

    async def story() -> None:
        bus = Bus(daemon.address)
        for _ in range(600):
            async with bus.listen(RAUC):
                pass
        await bus.close()

    asyncio.run(story())
