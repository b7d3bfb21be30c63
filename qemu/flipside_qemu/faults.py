"""Ways in which an image can be broken, for the demo and the tests; each is a layer of files."""

from __future__ import annotations

from flipside_qemu.tree import File, Layer

REQUIRED = "etc/flipside/health.d/required"
AGENT = "usr/lib/python3/dist-packages/flipside_agent/__init__.py"


def kernel_panic() -> Layer:
    """PID 1 gives up, and the kernel panics for want of it."""
    return {"usr/sbin/init": _script("exit 1")}


def hanging() -> Layer:
    """PID 1 does nothing at all: no service, no watchdog that would be fed."""
    return {"usr/sbin/init": _script("exec sleep infinity")}


def failing_check(name: str, reason: str) -> Layer:
    """A required health check fails, with its reason on standard error."""
    return {f"{REQUIRED}/{name}": _script(f"echo '{reason}' >&2\nexit 1")}


def broken_agent() -> Layer:
    """The agent cannot be imported, so that it never starts."""
    text = "raise ImportError('this version of the agent was built without half of itself')\n"
    return {AGENT: File(text.encode())}


def _script(body: str) -> File:
    return File(f"#!/bin/sh\n{body}\n".encode(), 0o755)
