"""A model of QEMU, and one of qemu-img: a process with a monitor, a console, and a disk it keeps.

Started with QEMU's command line it behaves as QEMU does towards the harness. What it boots is
bash, on a console that shows what a device with firmware, GRUB, two slots and RAUC shows. Its
disk is a file of JSON: the slot that boots next, and the snapshots.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)"

IMG = ("sh", "-c", 'for l; do :; done; while [ "$1" != -b ]; do shift; done; cp "$2" "$l"', "img")
"""Be `qemu-img create`: an overlay shows its base until it is written."""

PROFILE = r"""
PS1='root@model:~# '
cat() { [ "$1" != /proc/cmdline ] && command cat "$@" || echo "quiet rauc.slot=$SLOT panic=1"; }
systemctl() { :; }
rauc() { kill -USR1 $MODEL; }
reboot() { kill -USR2 $MODEL; sleep 60; }
poweroff() { kill -TERM $MODEL; sleep 60; }
date() { echo "$2" >> "$DISK.clock"; }
"""


class Disk:
    """What survives a power cut."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __getitem__(self, key: str) -> Any:
        return json.loads(self.path.read_text())[key]

    def get(self, key: str, default: object) -> Any:
        return json.loads(self.path.read_text()).get(key, default)

    def __setitem__(self, key: str, value: object) -> None:
        self.path.write_text(json.dumps(json.loads(self.path.read_text()) | {key: value}))


class Guest:
    """Bash at a pseudo terminal, as the system that was booted."""

    def __init__(self, disk: Disk) -> None:
        self.terminal, theirs = pty.openpty()
        profile = disk.path.with_suffix(".profile")
        profile.write_text(PROFILE)
        self.bash = subprocess.Popen(
            ["bash", "--rcfile", profile, "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"SLOT": disk["slot"], "MODEL": str(os.getpid()), "DISK": disk.path},
            start_new_session=True,
        )
        os.close(theirs)

    def stop(self) -> None:
        os.killpg(self.bash.pid, signal.SIGKILL)
        self.bash.wait()
        os.close(self.terminal)


class Emulator:
    """The process: it carries bytes, obeys the monitor, and hears the guest's own wishes."""

    def __init__(self, disk: Disk, console: socket.socket, monitor: socket.socket) -> None:
        self.disk = disk
        self.console = console
        self.monitor = monitor
        self.guest: Guest | None = None
        self.job = self.error = ""
        self.wishes, self.wishing = os.pipe()

    def run(self, *, paused: bool) -> None:
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, lambda wish, _: os.write(self.wishing, bytes([wish])) and None)
        self.tell({"QMP": {"version": {}, "capabilities": []}})
        if not paused and self.status == "running":
            self.boot()
        while True:
            self.turn()

    @property
    def status(self) -> str:
        """A disk can bring the machine to a stop, as a broken KVM does."""
        return str(self.disk.get("status", "running"))

    def turn(self) -> None:
        terminal = [self.guest.terminal] if self.guest else []
        ready, _, _ = select.select([self.console, self.monitor, self.wishes, *terminal], [], [])
        if self.wishes in ready:
            self.grant(os.read(self.wishes, 1)[0])
        elif self.monitor in ready:
            for line in self.monitor.recv(65536).splitlines():
                self.obey(json.loads(line))
        elif self.console in ready:
            typed = self.console.recv(65536)
            if self.guest:
                os.write(self.guest.terminal, typed)
        elif self.guest:
            self.console.sendall(os.read(self.guest.terminal, 65536))

    def boot(self) -> None:
        self.console.sendall(b"BdsDxe: loading Boot0001\r\nBooting slot %c\r\n" % ord(self.slot))
        self.guest = Guest(self.disk)

    @property
    def slot(self) -> str:
        return str(self.disk["slot"])

    def restart(self, last_words: bytes = b"") -> None:
        if self.guest:
            self.guest.stop()
        self.console.sendall(last_words)
        self.tell({"event": "RESET", "data": {"guest": bool(last_words)}})
        self.boot()

    def grant(self, wish: int) -> None:
        """What the guest wants: `rauc` to boot the other slot next, `reboot`, `poweroff`."""
        if wish == signal.SIGUSR1:
            self.disk["slot"] = "B" if self.slot == "A" and self.disk["b_installed"] else "A"
        elif wish == signal.SIGUSR2:
            self.restart(b"[   60.000000] reboot: Restarting system\r\n")
        else:
            self.console.sendall(b"[   60.000000] reboot: Power down\r\n")
            self.tell({"event": "SHUTDOWN", "data": {"guest": True}})
            if self.guest:
                self.guest.stop()
            self.console.close()
            time.sleep(0.1)  # QEMU has more to do then: its own caches of the disk, for one
            self.disk["flushed"] = True
            sys.exit(0)

    def obey(self, order: dict[str, Any]) -> None:
        arguments = order.get("arguments", {})
        answer: object = {}
        match order["execute"]:
            case "system_reset":
                self.restart()
            case "snapshot-save":
                self.disk["snapshots"] = self.disk["snapshots"] | {arguments["tag"]: self.slot}
            case "snapshot-load" if arguments["tag"] in self.disk["snapshots"]:
                self.disk["slot"] = self.disk["snapshots"][arguments["tag"]]
                if self.guest:
                    self.guest.stop()
                # Without a word: a guest that is put back does not know.
                self.guest = Guest(self.disk)
            case "query-status":
                answer = {"status": self.status, "running": self.status == "running"}
            case "query-jobs":
                answer = [{"id": self.job, "error": self.error} if self.error else {"id": self.job}]
            case "set_link" if arguments["name"] != "nic":
                self.tell({"id": order["id"], "error": {"desc": "Device not found"}})
                return
        self.tell({"id": order["id"], "return": answer})
        if order["execute"].startswith("snapshot-"):
            missing = arguments["tag"] not in self.disk["snapshots"]
            self.job = arguments["job-id"]
            self.error = f"Snapshot '{arguments['tag']}' does not exist" if missing else ""
            self.tell(
                {"event": "JOB_STATUS_CHANGE", "data": {"id": self.job, "status": "concluded"}}
            )

    def tell(self, message: dict[str, object]) -> None:
        self.monitor.sendall(json.dumps(message).encode() + b"\r\n")


def main(arguments: list[str]) -> None:
    """Be QEMU with this command line."""
    line = " ".join(arguments)
    path = re.findall(r'"filename": "([^"]+)"', line)[-1]
    if not Path(path).exists():
        sys.exit(f"qemu-system-x86_64: Could not open '{path}': No such file or directory")
    console, monitor = (
        socket.socket(fileno=int(re.findall(rf"id={name},fd=(\d+)", line)[0]))
        for name in ("console", "monitor")
    )
    Emulator(Disk(Path(path)), console, monitor).run(paused="-S" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
