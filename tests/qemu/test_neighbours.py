"""What runs beside the agent dies, is busy, is restarted or full; so does the agent itself."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from flipside_qemu.alarms import Alarm
from flipside_qemu.errors import ShellLostError
from flipside_qemu.tree import File, Layer
from flipside_qemu.workshop import TARGET
from models.flight import LANDED, Flight
from models.in_between import url_of
from models.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

HALFWAY = r"[5-8]\d %, Copying"
MINUTES = 240.0
"""Seconds in which a device comes up."""
KILL = "systemctl kill --signal=KILL"
MOMENTS = (
    r"preparing: ",
    r"Verifying signature",
    r"Checking slot rootfs\.1",
    r"46 %, Copying",
    r"56 %, Copying",
    r"66 %, Copying",
    r"76 %, Copying",
    r"86 %, Copying",
    r"Installing done",
    r"rebooting: ",
)
"""Ten moments of an installation, as the agent's console tells them."""
SOMEBODY_INSTALLS = (
    "until busctl get-property de.pengutronix.rauc / de.pengutronix.rauc.Installer Operation"
    " | grep -q installing; do sleep 1; done"
)
FILLS_ITS_DATA: Layer = {
    "usr/lib/systemd/system/fill-data.service": File(
        b"[Unit]\nAfter=flipside-data.service\nBefore=flipside-agent.service\n"
        b"[Service]\nType=oneshot\nExecStart=-dd if=/dev/zero of=/data/filler bs=1M\n"
        b"[Install]\nWantedBy=multi-user.target\n"
    )
}
"""An image that leaves nobody a byte on the data partition, not even root."""


def test_an_agent_that_is_killed_at_ten_moments_of_an_installation_still_lands_it(
    ready_flight: Flight,
) -> None:
    shell = ready_flight.device.shell
    action = ready_flight.ship(ready_flight.next_version())
    for moment in MOMENTS:
        shell.wait_for(moment, within=LANDED)
        with suppress(ShellLostError):  # after the last one it goes down
            # No five kills in two minutes: systemd would pause, which trials of their own show.
            shell.run(f"{KILL} flipside-agent; systemctl reset-failed flipside-agent")
    ready_flight.lands(action)


def test_rauc_that_is_killed_in_the_middle_is_started_again(ready_flight: Flight) -> None:
    action = ready_flight.ship(ready_flight.next_version())
    ready_flight.device.shell.wait_for(HALFWAY, within=LANDED)
    ready_flight.device.shell.check(f"{KILL} rauc")
    ready_flight.lands(action)


def test_rauc_that_is_busy_for_somebody_else_is_waited_for(ready_flight: Flight) -> None:
    shell = ready_flight.device.shell
    theirs = ready_flight.shop.ship("theirs", {})
    web = Web()
    web.files["/theirs.raucb"] = theirs.path.read_bytes()
    web.switch_on()
    somebody = f"rauc install {url_of(web)}/theirs.raucb"
    shell.check(f"systemd-run --unit=somebody {somebody}")
    shell.check(SOMEBODY_INSTALLS)
    action = ready_flight.ship(ready_flight.next_version())
    shell.wait_for(HALFWAY, within=LANDED)
    assert not shell.test(somebody), "now it is our turn"
    ready_flight.lands(action)
    web.switch_off()


@pytest.mark.parametrize("blow", ["systemctl restart dbus", f"{KILL} dbus"])
def test_a_message_bus_that_is_restarted_in_the_middle_costs_no_update(
    ready_flight: Flight, blow: str
) -> None:
    action = ready_flight.ship(ready_flight.next_version())
    ready_flight.device.shell.wait_for(HALFWAY, within=LANDED)
    ready_flight.device.shell.check(blow)
    ready_flight.lands(action)


def test_a_full_data_partition_stops_no_commit_and_no_report(ready_flight: Flight) -> None:
    shell = ready_flight.device.shell
    ready_flight.lands(ready_flight.ship(ready_flight.next_version(), FILLS_ITS_DATA))
    assert not shell.test("dd if=/dev/zero of=/data/one-more bs=4k count=1")
    ready_flight.refused(ready_flight.ship(ready_flight.next_version()), "No space left on device")
    shell.check("rm /data/filler /data/one-more")
    ready_flight.good_update()


def test_a_data_partition_that_turns_read_only_takes_no_update_and_says_so(
    ready_flight: Flight,
) -> None:
    device = ready_flight.device
    device.shell.check("mount -o remount,ro /data")
    result = ready_flight.result(ready_flight.ship(ready_flight.next_version()))
    assert result.state == "error"
    assert "Read-only file system" in result.last_words
    assert "Read-only file system" in ready_flight.server.attributes(TARGET)["trouble"]
    assert device.booted_slot() == "A"
    device.reboot()  # it comes up writable again
    ready_flight.good_update()


def test_a_data_partition_that_is_gone_costs_neither_the_boot_nor_the_confirmed_slot(
    ready_flight: Flight,
) -> None:
    device, shell = ready_flight.device, ready_flight.device.shell
    identity = shell.check("cat /data/flipside/device.toml")
    with shell.expecting(Alarm.FILESYSTEM):
        shell.check("dd if=/dev/zero of=/dev/disk/by-partlabel/data bs=1M count=32 conv=fsync")
        device.reset()
        shell.wait_for("flipside: /data cannot be mounted; updates are refused", within=MINUTES)
        device.boot()
    device.reboot()  # and once more
    assert device.booted_slot() == "A"
    state = json.loads(shell.check("flipside-bootctl status --json"))["slots"]["A"]
    assert state == {"left": 9, "confirmed": True}

    shell.check("umount -l /data && mkfs.ext4 -q -F /dev/disk/by-partlabel/data")
    shell.check("mount /dev/disk/by-partlabel/data /data && mkdir /data/flipside")
    shell.put("/data/flipside/device.toml", identity)
    device.reboot()
    ready_flight.good_update()
