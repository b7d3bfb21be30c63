"""The system's journal, as far as it tells why a unit failed."""

from __future__ import annotations

import asyncio
import logging

from flipside_agent.rauc_dialect import readable

LOOKS = 3
PAUSE = 0.3
"""Seconds between two looks: what a process says last may arrive after the news of its end."""
TIMEOUT = 10.0
"""Seconds that the journal may take for an answer, which is a nicety."""

log = logging.getLogger(__name__)


async def last_line(invocation: str) -> str:
    """The last line that a run of a unit wrote, or nothing if the journal does not say."""
    for look in range(LOOKS):
        await asyncio.sleep(PAUSE if look else 0)
        line = readable(await _asked(f"_SYSTEMD_INVOCATION_ID={invocation}"))
        if line:
            return line
    return ""


async def _asked(match: str) -> str:
    try:
        reader = await asyncio.create_subprocess_exec(
            *("journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1", match),
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
        return ""
    finally:
        await _reap(reader)
    return output.decode("utf-8", "replace")


async def _reap(reader: asyncio.subprocess.Process) -> None:
    if reader.returncode is None:
        reader.kill()
        await reader.wait()
