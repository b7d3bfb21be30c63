"""What can go wrong, by whom it is to be blamed.

Our own bugs are outside every family and are never caught.
Every message is one sentence: what, where, what was expected.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Who caused a failure; decides whether trying again makes sense."""

    UPDATE = "update"
    DEVICE = "device"
    NETWORK = "network"
    SERVER = "server"
    OPERATOR = "operator"


class AgentError(Exception):
    """Root of everything the agent raises on purpose; only its families are ever raised."""

    blame: ClassVar[Blame]


class UpdateError(AgentError):
    """The update is at fault: refused, unsigned, for another device, too large."""

    blame = Blame.UPDATE


class DeviceError(AgentError):
    """The device is at fault: RAUC, the bus, the boot state, the disk."""

    blame = Blame.DEVICE


class NetworkError(AgentError):
    """The network is at fault: no route, time-out, TLS. Worth trying again."""

    blame = Blame.NETWORK


class ServerError(AgentError):
    """The server is at fault: it answered, but with an error or with nonsense."""

    blame = Blame.SERVER


class OperatorError(AgentError):
    """The operator is at fault: configuration, credentials, permissions."""

    blame = Blame.OPERATOR


class Unavailable(ServerError):
    """The server is there, but cannot answer now. Worth trying again."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asked to wait; 0 if it did not say."""
