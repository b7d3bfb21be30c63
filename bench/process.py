"""A server's processes, as the kernel sees them: which they are, what they cost, what they hold."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LISTENS = "0A"
"""State of a socket in /proc/net/tcp: proc_pid_net(5), and TCP_LISTEN of the kernel's headers."""


def listening_on(port: int) -> int:
    """The process that listens on a port of this machine, so that nobody else is measured."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(place.readlink()) in wanted:
                return int(place.parts[2])
        except OSError:
            continue  # it ended meanwhile, or is another user's
    raise SystemExit(f"no process of ours listens on port {port}")


def spent(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    ticks = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def resident(pid: int) -> int:
    """Bytes that a process and its children have in memory."""
    pages = (Path(f"/proc/{one}/statm").read_text().split()[1] for one in _family(pid))
    return sum(int(count) for count in pages) * _PAGE


def _inodes(port: int) -> set[str]:
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    mark = f":{port:04X}"
    return {row[9] for row in rows if row[1].endswith(mark) and row[3] == _LISTENS}


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        # Threads start processes too.
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found
