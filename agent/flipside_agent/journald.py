"""The system's journal, as far as it tells why a unit or a whole boot failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container
from typing import Final

from flipside_agent.last_words import last_words, trial
from flipside_agent.rauc_dialect import readable

LOOKS = 3
PAUSE = 0.3
"""Seconds between two looks: what a process says last may arrive after the news of its end."""
TIMEOUT = 10.0
"""Seconds that the journal may take for an answer, which is a nicety."""

TRIAL: Final = "flipside-trial-journal.service"
"""Has the journal of a trial boot kept, and writes the kernel command line into it."""
ENOUGH: Final = 400
"""Messages at a boot's end; more than its shutdown, which is among them, has to say."""

log = logging.getLogger(__name__)


async def last_line(invocation: str) -> str:
    """The last line that a run of a unit wrote, or nothing if the journal does not say."""
    for look in range(LOOKS):
        await asyncio.sleep(PAUSE if look else 0)
        match = f"_SYSTEMD_INVOCATION_ID={invocation}"
        line = readable(await _asked("--output=cat", "--lines=1", match))
        if line:
            return line
    return ""


async def failed_trial(slot: str, told: Container[str]) -> tuple[str, tuple[str, ...]]:
    """The boot that tried this slot last, and what it had to say.

    Nothing, if it left nothing, or if it was told already and so belongs to another update.
    """
    fields = "--output-fields=MESSAGE"
    found = trial(await _asked("--output=json", fields, "--lines=20", f"_SYSTEMD_UNIT={TRIAL}"))
    if found is None or found.slot != slot or found.boot in told:
        return "", ()
    fields = "--output-fields=MESSAGE,MESSAGE_ID,SYSLOG_IDENTIFIER,_COMM"
    match = f"_BOOT_ID={found.boot.replace('-', '')}"
    said = await _asked("--output=json", fields, f"--lines={ENOUGH}", match)
    return found.boot, last_words(said)


async def _asked(*arguments: str) -> str:
    try:
        reader = await asyncio.create_subprocess_exec(
            *("journalctl", "--quiet", "--no-pager", *arguments),
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
