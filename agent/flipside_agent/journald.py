"""The system's journal, as far as it tells why a unit failed."""

from __future__ import annotations

import asyncio
import logging

from flipside_agent.rauc_dialect import readable

TIMEOUT = 10.0
"""Seconds that the journal may take; its answer is a nicety."""

log = logging.getLogger(__name__)


async def last_line(invocation: str) -> str:
    """The last line that a run of a unit wrote, or nothing if the journal does not say."""
    argv = ("journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1")
    try:
        reader = await asyncio.create_subprocess_exec(
            *argv,
            f"_SYSTEMD_INVOCATION_ID={invocation}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        log.info("journalctl cannot be run: %s", error.strerror)
        return ""
    try:
        async with asyncio.timeout(TIMEOUT):
            output, _ = await reader.communicate()
    except TimeoutError:
        reader.kill()
        await reader.wait()
        return ""
    return readable(output.decode("utf-8", "replace"))
