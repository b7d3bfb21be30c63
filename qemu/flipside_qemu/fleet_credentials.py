"""How model devices prove who they are: one gateway token, a file of tokens, or a command."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from flipside_qemu.errors import HostError, OperatorError

_AT_ONCE = 4
_LONGEST_COMPLAINT = 200
"""Characters of what a provisioning command says."""


def names(prefix: str, count: int) -> list[str]:
    """The names of so many devices, all of one length, so that they sort."""
    width = max(5, len(str(count - 1)))
    return [f"{prefix}{number:0{width}}" for number in range(count)]


def gateway(file: Path, devices: Sequence[str]) -> dict[str, str]:
    """All devices with the gateway token on the file's first line."""
    lines = _lines(file)
    if not lines:
        raise OperatorError(f"{file} is empty, expected a gateway token on its first line")
    return dict.fromkeys(devices, f"GatewayToken {lines[0]}")


def tokens(file: Path, prefix: str, count: int | None) -> dict[str, str]:
    """The devices of this prefix in a file of lines with a name and a token."""
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(file), start=1):
        words = line.split()
        if len(words) != 2:
            raise OperatorError(
                f"{file}, line {number}: expected a device's name and its token, blank between them"
            )
        if words[0].startswith(prefix):
            found[words[0]] = f"TargetToken {words[1]}"
    if not found or len(found) < (count or 0):
        raise OperatorError(
            f"{file} has {len(found)} devices that begin with {prefix!r}, expected"
            f" {count or 'at least one'}"
        )
    return dict(list(found.items())[:count])


def written(credentials: Mapping[str, str]) -> str:
    """Target tokens as :func:`tokens` reads them."""
    return "".join(f"{name} {proof.split()[-1]}\n" for name, proof in credentials.items())


async def provisioned(command: str, devices: Sequence[str]) -> dict[str, str]:
    """The devices with the tokens that a command prints; ``{}`` in it is the device's name."""
    words = shlex.split(command)
    if not any("{}" in word for word in words):
        raise OperatorError(f"the command {command!r} has no {{}} for the device's name")
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> str:
        async with gate:
            return await _token([word.replace("{}", name) for word in words])

    found = await asyncio.gather(*map(one, devices))
    return {name: f"TargetToken {token}" for name, token in zip(devices, found, strict=True)}


async def _token(words: Sequence[str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise OperatorError(f"cannot run {words[0]}: {error.strerror}") from error
    said, complaint = await process.communicate()
    token = said.decode(errors="replace").strip()
    if process.returncode != 0 or not token or len(token.split()) != 1:
        reason = complaint.decode(errors="replace").strip()[-_LONGEST_COMPLAINT:]
        raise HostError(
            f"`{shlex.join(words)}` ended with code {process.returncode}, expected 0 and a token"
            f" on one line: {reason or '(it said nothing)'}"
        )
    return token


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"cannot read the tokens in {file}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
