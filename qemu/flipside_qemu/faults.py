"""Ways in which an image can be broken, for the demo and the tests; each is a layer of files.

A fault that nobody on the device notices ends with its trial, after minutes and three times over:
:func:`short_trial` makes them seconds.
"""

from __future__ import annotations

from flipside_qemu.board import QEMU_X86_64, Board
from flipside_qemu.tree import File, Layer, Link

REQUIRED = "etc/flipside/health.d/required"
UNITS = "usr/lib/systemd/system"
AGENT = "usr/lib/python3/dist-packages/flipside_agent/__init__.py"


def short_trial(flaw: Layer, seconds: int) -> Layer:
    """The same fault; a trial that nobody has confirmed is given up so long after its boot."""
    text = f"[Timer]\nOnBootSec=\nOnBootSec={seconds}s\n"
    return {**flaw, f"{UNITS}/flipside-trial.timer.d/hurry.conf": File(text.encode())}


# Nothing comes up


def kernel_panic() -> Layer:
    """PID 1 gives up, and the kernel panics for want of it."""
    return {"usr/sbin/init": _script("exit 1")}


def hanging() -> Layer:
    """PID 1 does nothing at all: no service, no watchdog that would be fed."""
    return {"usr/sbin/init": _script("exec sleep infinity")}


def lost_root(board: Board = QEMU_X86_64) -> Layer:
    """The initramfs is told of a root partition that this device does not have."""
    return board.told(f"console={board.console}", "quiet", "panic=1", "root=PARTLABEL=root-c")


def destroyed_init() -> Layer:
    """What was the program of PID 1 is noise."""
    return {"usr/sbin/init": File(bytes(range(256)) * 64, 0o755)}


def stuck_unit() -> Layer:
    """A unit that everything else waits for never ends, and has no time-out."""
    return _early("stuck", "sleep infinity", "TimeoutStartSec=infinity\n")


def frozen_init(watchdog: int) -> Layer:
    """PID 1 crashes and freezes; a watchdog that nobody feeds bites after so many seconds."""
    text = f"[Manager]\nRuntimeWatchdogSec={watchdog}s\n"
    return {
        **_early("crash", "/bin/sh -c 'kill -SEGV 1'"),
        "etc/systemd/system.conf.d/watchdog.conf": File(text.encode()),
    }


# What the agent stands on is missing


def missing_python() -> Layer:
    """There is no Python."""
    return {"usr/bin/python3": Link("/nowhere")}


def dead_bus() -> Layer:
    """The D-Bus daemon ends as soon as it is started."""
    return {"usr/bin/dbus-daemon": _script("exit 1")}


def refused_data() -> Layer:
    """The kernel does not take the data partition: it is to be mounted as it cannot be."""
    text = b"[Mount]\nOptions=rw,noatime,nofail,option-of-another-kernel\n"
    return {f"{UNITS}/data.mount.d/refused.conf": File(text)}


# The agent does not do its work


def broken_agent() -> Layer:
    """The agent cannot be imported, so that it never starts."""
    text = "raise ImportError('this version of the agent was built without half of itself')\n"
    return {AGENT: File(text.encode())}


def silent_agent() -> Layer:
    """The agent starts and never says that it is ready."""
    return {"usr/bin/flipside-agent": _script("exec sleep infinity")}


# Health checks


def failing_check(name: str, reason: str) -> Layer:
    """A required health check fails, with its reason on standard error."""
    return {f"{REQUIRED}/{name}": _script(f"echo '{reason}' >&2\nexit 1")}


def hanging_check(name: str, deadline: int) -> Layer:
    """A required health check never ends; all checks together have so many seconds."""
    policy = f"[health]\ndeadline = {deadline}\n"
    return {
        f"{REQUIRED}/{name}": _script("exec sleep infinity"),
        "etc/flipside/agent.toml": File(policy.encode()),
    }


def hesitant_check(name: str, reason: str) -> Layer:
    """A required health check that fails once and passes when it is tried again."""
    asked = f"/run/{name}/asked"
    body = f"[ -e {asked} ] && exit 0\n: > {asked}\necho '{reason}' >&2\nexit 1"
    rights = f"RuntimeDirectory={name}\nRuntimeDirectoryPreserve=yes\n"
    return {f"{REQUIRED}/{name}": _script(body), **_rights(name, rights)}


def resetting_check(name: str) -> Layer:
    """A required health check at which the whole machine is reset."""
    rights = "DynamicUser=no\nProtectKernelTunables=no\n"
    reset = "echo b > /proc/sysrq-trigger\nsleep infinity"
    return {f"{REQUIRED}/{name}": _script(reset), **_rights(name, rights)}


def _script(body: str) -> File:
    return File(f"#!/bin/sh\n{body}\n".encode(), 0o755)


def _early(name: str, command: str, more: str = "") -> Layer:
    """A unit of the early boot, before everything that has default dependencies."""
    text = (
        f"[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n"
        f"[Service]\nType=oneshot\nExecStart={command}\n{more}"
        f"[Install]\nWantedBy=sysinit.target\n"
    )
    return {f"{UNITS}/{name}.service": File(text.encode())}


def _rights(check: str, settings: str) -> Layer:
    """What a health check may do beyond the template's rights. Its name has no dash in it."""
    return {
        f"{UNITS}/flipside-check@required-{check}.service.d/rights.conf": File(
            f"[Service]\n{settings}".encode()
        )
    }
