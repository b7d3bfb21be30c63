"""How much, and for how long, the server puts up with from one client and from all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take. Seconds and bytes."""

    head: int = 32 << 10
    """Bytes of a request's first line and headers, or of its trailers."""
    headers: int = 100
    """How many headers a request may have."""
    body: int = 2 << 20
    """Bytes of a body that is gathered before the application sees it."""
    small: int = 64 << 10
    """A body up to this size is taken whatever others send."""
    bodies: int = 32 << 20
    """Bytes of all larger bodies together that are being gathered."""
    waiting: int = 32
    """Requests that a client may send before it has its answers."""
    connections: int = 16_000
    """Connections at a time; fewer if the process may not open as many files."""
    handshake: float = 10
    """For TLS to begin."""
    sending: float = 10
    """For a request's head to come, from its first byte or from the connection's beginning."""
    telling: float = 30
    """For a request's body to come."""
    idle: float = 60
    """Between two requests."""
    stalled: float = 60
    """While an answer is sent and the client takes nothing of it."""
    look: float = 1
    """Between two looks for connections whose time is over."""
    grace: float = 20
    """For requests under way to end, downloads among them, once the server is told to stop."""


LIMITS = Limits()
