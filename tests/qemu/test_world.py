"""The server, the way to it, and the time: whatever they do, the device ends on a good slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from flipside_qemu import device as devices
from flipside_qemu import kvm
from flipside_qemu.emulator import Emulator
from flipside_qemu.machine import Machine
from flipside_qemu.theatre import provision
from flipside_qemu.update_server import GUEST_VIEW, UpdateServer
from flipside_qemu.workbench import Workbench
from flipside_qemu.workshop import TARGET, Workshop
from models.authority import NOW, Authority, server_side
from models.flight import LANDED, Flight
from models.in_between import in_between, send_to, set_clock, url_of
from models.web import Mood, Web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

MINUTES = 240.0
"""Seconds in which a device comes back to a server that it could not talk to."""
MOODS = (Mood.BROKEN, Mood.GARBAGE, Mood.HALF, Mood.ENDLESS, Mood.ELSEWHERE)


def test_a_server_that_is_gone_for_the_whole_trial_boot_is_told_afterwards(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    action = ready_flight.ship(ready_flight.next_version())
    device.shell.wait_for(r"flipside: rebooting: ", within=LANDED)
    ready_flight.server.kill()
    device.shell.wait_for(r"^flipside: slot B flipside\.trial=1", within=MINUTES)
    device.shell.wait_for(r"flipside: reporting: ", within=MINUTES)
    device.shell.wait_for(r"the network is to blame: .* cannot be reached", within=MINUTES)
    device.boot()
    assert ready_flight.is_confirmed("B")
    ready_flight.server.start()
    ready_flight.lands(action)


def test_a_server_that_has_every_bad_mood_in_turn_is_outlived(
    ready_flight: Flight, stranger: Web
) -> None:
    with in_between(ready_flight) as web:
        web.elsewhere = f"http://{GUEST_VIEW}:{stranger.port}/"
        send_to(ready_flight.device, url_of(web))
        for mood in MOODS:
            suffer(web, mood, "/controller/", times=2)
            web.wait(web.is_idle, MINUTES)  # the good answer was read to its end
        version = ready_flight.next_version()
        action = ready_flight.ship(version)
        size = ready_flight.shop.ship(version, {}).size
        for number, mood in enumerate(MOODS, start=1):
            fetch(web, size * number // 8)
            suffer(web, mood, ".raucb", times=1)
        ready_flight.lands(action)
        assert stranger.seen == [], "nobody else is asked for anything"


def test_a_certificate_of_another_host_is_shown_nothing_and_spoils_nothing(
    ready_flight: Flight, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "ours")
    right, wrong = ours.issue("right", GUEST_VIEW), ours.issue("wrong", "updates.example")
    tls = server_side(right)
    device = ready_flight.device
    with in_between(ready_flight, tls) as web:
        send_to(device, url_of(web), ours.certificate)
        version = ready_flight.next_version()
        action = ready_flight.ship(version)
        fetch(web, ready_flight.shop.ship(version, {}).size // 4)
        tls.load_cert_chain(wrong)
        web.turn(Mood.WELL)
        device.shell.wait_for(r"not to be trusted: IP address mismatch", within=MINUTES)
        asked = len(web.seen)
        device.shell.wait_for(r"the server cannot be asked: .* IP address mismatch", within=MINUTES)
        assert len(web.seen) == asked, "no request went out under that certificate"
        tls.load_cert_chain(right)
        ready_flight.lands(action)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a board's clock shows, and what the device says then to a certificate of today."""

    rtc: str
    said: str


@pytest.mark.parametrize(
    "clock",
    [
        # systemd starts no earlier than it was built, which still is too early.
        Clock("1970-01-01T00:00:00", "clock is not set: it says 20"),
        Clock("2038-01-20T00:00:00", "has expired, unless .* clock, which says 2038-01-20"),
    ],
    ids=lambda clock: clock.rtc[:4],
)
def test_a_valid_bundle_is_installed_whatever_the_clock_says_but_tls_waits_for_it(
    flight_in: Callable[[str], Flight], clock: Clock, tmp_path: Path
) -> None:
    flight = flight_in(clock.rtc)
    device = flight.device
    wrong_by = abs(int(device.shell.check("date +%s")) - NOW.timestamp())
    assert timedelta(seconds=wrong_by) > timedelta(days=30)
    ours = Authority(tmp_path, "ours")
    today = server_side(ours.issue("today", GUEST_VIEW, NOW - timedelta(days=1)))
    with in_between(flight, today) as web:
        send_to(device, url_of(web), ours.certificate)
        device.shell.wait_for(f"the server cannot be asked: .*{clock.said}", within=MINUTES)
        assert web.seen == [], "not a word to somebody whose certificate does not convince"

        send_to(device, flight.server.url)
        flight.good_update()  # signed today

        set_clock(device)
        send_to(device, url_of(web), ours.certificate)
        web.wait(lambda: len(web.seen) >= 1, MINUTES)


def fetch(web: Web, amount: int) -> None:
    """Wait until so many bytes of bundles have gone out."""
    web.wait(lambda: web.sent > amount, LANDED)


def suffer(web: Web, mood: Mood, asked: str, times: int) -> None:
    """Let a device meet that mood so often when it asks for something, and then get an answer."""
    before = len(web.seen)

    def met() -> bool:
        return sum(asked in seen.path for seen in web.seen[before:]) >= times

    # Only for what it is about: who waits for a good poll would not ask for a bundle again.
    web.mood_for = lambda seen: None if asked in seen.path else Mood.WELL
    web.turn(mood)
    web.wait(met, MINUTES)
    suffered = len(web.seen)
    web.mood = Mood.WELL
    web.wait(lambda: len(web.seen) > suffered, MINUTES)


@pytest.fixture
def stranger() -> Iterator[Web]:
    """Somebody to whom a redirect leads."""
    web = Web()
    web.switch_on()
    yield web
    web.switch_off()


@pytest.fixture
def flight_in(
    shop: Workshop, server: UpdateServer, qemu: Emulator, bench: Workbench, tmp_path: Path
) -> Iterator[Callable[[str], Flight]]:
    """Makes a device whose clock stands at a given moment, booted."""
    with ExitStack() as running:

        def make(rtc: str) -> Flight:
            disk = shop.disk("1", tmp_path / "disk", provision(server))
            machine = Machine(disk.image, disk.variables, serial=TARGET, rtc=rtc)
            machine = kvm.accelerated(machine, qemu, bench.cache)
            unit = running.enter_context(devices.fresh(machine, qemu, tmp_path / "device"))
            unit.boot()
            return Flight(shop, server, unit)

        yield make
