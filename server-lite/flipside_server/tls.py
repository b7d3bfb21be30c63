"""TLS for the listener: certificate and key, read anew when they change; who the client is."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass, field
from typing import Any

from flipside_server.admission import ClientCertificate
from flipside_server.errors import OperatorError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS is made of; all of it PEM."""

    certificate: str
    """The certificate, and those between it and its authority."""
    key: str
    authorities: str = ""
    """Authorities whose certificates clients may show; empty if clients are not asked for any."""


@dataclass(slots=True)
class Tls:
    """TLS with the certificate that is in the files now."""

    files: TlsFiles
    context: ssl.SSLContext
    _seen: object = field(default=None)
    """State of the files when they were last looked at."""

    def refresh(self, *, told: bool = False) -> None:
        """Take a new certificate if the files changed, or in any case if told so.

        Connections that there are go on; a pair that cannot be used leaves the old one in place.
        """
        state = _state(self.files)
        if state == self._seen and not told:
            return
        self._seen = state
        try:
            # First elsewhere: a pair that does not fit would spoil the context that is in use.
            _loaded(self.files)
            _load(self.context, self.files)
        except OperatorError as error:
            _log.error("the old TLS certificate stays in use: %s", error)
        else:
            _log.info("the TLS certificate was read anew from %s", self.files.certificate)


def tls(files: TlsFiles) -> Tls:
    """TLS with these files, or OperatorError."""
    return Tls(files, _loaded(files), _state(files))


def client_certificate(channel: Any) -> ClientCertificate | None:
    """What the client's certificate says, which the handshake has verified; None without one."""
    shown = channel.getpeercert()
    if not shown:
        return None
    return ClientCertificate(_common_name(shown["subject"]), _common_name(shown["issuer"]))


def _loaded(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, files)
    if files.authorities:
        try:
            context.load_verify_locations(files.authorities)
        except OSError as error:
            raise OperatorError(
                f"cannot use the authorities in {files.authorities}: {error}"
            ) from error
        # Optional: who shows none may come in by its token, who shows a bad one does not.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except OSError as error:
        raise OperatorError(
            f"cannot use the certificate {files.certificate} with the key {files.key}: {error}"
        ) from error


def _no_password() -> str:
    # Else OpenSSL asks on the terminal, where a service has nobody to answer.
    raise OperatorError("the TLS key is encrypted: give one without a password")


def _state(files: TlsFiles) -> object:
    try:
        found = [os.stat(name) for name in (files.certificate, files.key)]  # noqa: PTH116  # names
    except OSError:
        return None
    return [(one.st_mtime_ns, one.st_size, one.st_ino) for one in found]


def _common_name(names: Any) -> str:
    """The common name, if there is exactly one: of two nobody knows which was meant."""
    found = [value for part in names for key, value in part if key == "commonName"]
    return found[0] if len(found) == 1 else ""
