"""What can go wrong, by whom it is to be blamed.

Our own bugs are outside every family and are never caught.
Every message is one sentence: what, where, what was expected, what to do.
"""

from __future__ import annotations


class ServerError(Exception):
    """Root of everything the server raises on purpose."""


class OperatorError(ServerError):
    """The operator is at fault: an option, a command, a name that does not exist."""


class StorageError(ServerError):
    """The data directory is at fault: damaged, foreign, unreadable."""


class StorageFullError(StorageError):
    """The disk has no room for what was to be written; nothing of it was kept."""


class DirectoryHeldError(StorageError):
    """Another process holds the data directory; there is one writer at a time."""


class DeviceError(ServerError):
    """The device's request is at fault. Carries what hawkBit would answer."""

    status = 400
    """HTTP status."""
    code = "hawkbit.server.error.rest.body.notReadable"
    """hawkBit's ``errorCode``; empty where hawkBit answers without a body."""


class MalformedError(DeviceError):
    """The request cannot be understood."""


class AttributesError(DeviceError):
    """A device attribute is too long or nameless."""

    code = "hawkbit.server.error.repo.invalidTargetAttributes"


class QuotaError(DeviceError):
    """The device sent more than is kept of one thing."""

    status = 429
    code = "hawkbit.server.error.quota.tooManyEntries"


class UnauthorizedError(DeviceError):
    """The credentials are missing or wrong, or the target is unknown: never said which."""

    status = 401
    code = ""


class UnknownError(DeviceError):
    """The thing does not exist, or not for this device."""

    status = 404
    code = "hawkbit.server.error.repo.entityNotFound"

    def __init__(self, message: str, **info: object) -> None:
        super().__init__(message)
        self.info = info
        """hawkBit's ``info``: which entity, of what type; empty where hawkBit leaves it out."""


class HiddenError(DeviceError):
    """It is there, but not to be had now; hawkBit answers without a body."""

    status = 404
    code = ""


class ConflictError(DeviceError):
    """It is so already."""

    status = 409
    code = "flipside.server.error.alreadySo"


class NotCancelableError(DeviceError):
    """A cancellation was answered that nobody asked for."""

    status = 405
    code = "hawkbit.server.error.action.notCancelable"


class ActionClosedError(DeviceError):
    """The action is closed; nothing more is taken for it."""

    status = 410
    code = ""


class MismatchError(DeviceError):
    """The artifact is not the one that the device asked for (If-Match)."""

    status = 412
    code = ""


class RangeError(DeviceError):
    """The wanted range cannot be served."""

    status = 416
    code = ""
