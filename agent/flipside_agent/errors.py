"""What can go wrong, by whom it is to be blamed.

Our own bugs are outside every family and are never caught.
Every message is one sentence: what, where, what was expected.
"""

from __future__ import annotations


class AgentError(Exception):
    """Root of everything the agent raises on purpose."""


class UpdateError(AgentError):
    """The update is at fault: refused, unsigned, for another device, too large."""


class DeviceError(AgentError):
    """The device is at fault: RAUC, the bus, the boot state, the disk."""


class NetworkError(AgentError):
    """The network is at fault: no route, time-out, TLS. Worth trying again."""


class ServerError(AgentError):
    """The server is at fault: it answered, but with an error or with nonsense."""


class OperatorError(AgentError):
    """The operator is at fault: configuration, credentials, permissions."""
