"""The harness against the real thing: firmware, GRUB, kernel, systemd, and QEMU's own monitor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flipside_qemu.alarms import Alarm
from flipside_qemu.device import Device
from flipside_qemu.errors import AlarmError, PowerError, ShellLostError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SNAPSHOT = "ready"
PANIC = "echo c > /proc/sysrq-trigger"


@contextmanager
def cheap(device: Device, limit: float) -> Iterator[None]:
    """Costs at most so many CPU seconds. The wall's clock says nothing on a busy host."""
    before = device.cpu_seconds()
    yield
    assert device.cpu_seconds() - before < limit


def test_a_device_through_power_time_and_panic(new_device: Callable[..., Device]) -> None:
    device = new_device()
    device.boot()
    assert device.booted_slot() == "A"

    device.shell.put("/data/before", "kept")
    device.snapshot(SNAPSHOT)
    device.shell.check("touch /data/after && sync")
    with cheap(device, 5):
        device.restore(SNAPSHOT)
    assert device.shell.check("cat /data/before") == "kept"
    assert not device.shell.test("test -e /data/after")
    assert abs(int(device.shell.check("date +%s")) - time.time()) < 60

    device.link(up=False)
    assert device.shell.check("cat /sys/class/net/eth0/carrier") == "0"
    device.link(up=True)
    device.shell.check("until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done")

    device.power_cut()
    with pytest.raises(PowerError):
        device.shell.check("true")
    with cheap(device, 5):
        device.restore(SNAPSHOT)
    assert device.shell.check("cat /data/before") == "kept"

    with device.shell.expecting(Alarm.PANIC, Alarm.OOPS):
        with pytest.raises(ShellLostError, match="sysrq"):
            device.shell.run(PANIC)
        device.await_boot()
    assert {event.name for event in device.qmp.events()} >= {"RESET", "RESUME"}
    assert device.shell.check("cat /proc/sys/kernel/tainted") == "0"

    with pytest.raises(AlarmError, match=r"kernel (oops|panic)"):
        device.shell.run(PANIC)
    device.power_cut()
    with pytest.raises(AlarmError):
        device.boot()


def test_the_watchdog_starts_a_device_whose_init_has_frozen_anew(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    device.boot()
    with device.shell.expecting(Alarm.EMERGENCY):
        device.shell.run("kill -SEGV 1")
        device.qmp.wait_for("WATCHDOG", within=300, action="reset")
        device.await_boot()
    assert device.booted_slot() == "A"
