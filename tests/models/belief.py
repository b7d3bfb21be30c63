"""What a server believes of the device, once it has heard."""

from __future__ import annotations

import re
import time

from flipside_qemu.deadline import Deadline
from flipside_qemu.update_server import UpdateServer
from flipside_qemu.workshop import TARGET

_HEARD = 120.0
_GLANCE = 2.0
"""Seconds in which a device on a busy host tells its server, and between two looks."""


def believes(server: UpdateServer, **attributes: str) -> None:
    """Wait until the server knows these attributes, each a regular expression for all of it.

    An attribute that was never sent is empty.
    """
    deadline = Deadline.after(_HEARD)
    while not _match(known := server.attributes(TARGET), attributes):
        assert not deadline.passed(), f"the server believes {known}, expected {attributes}"
        time.sleep(_GLANCE)  # the server has no way to call us


def _match(known: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(
        re.fullmatch(pattern, known.get(name, ""), re.DOTALL) for name, pattern in wanted.items()
    )
