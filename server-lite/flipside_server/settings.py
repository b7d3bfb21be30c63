"""The server's settings: what ``server.toml`` may say, checked, each fault in one sentence."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from flipside_server.admission import ANYBODY_KNOWN, Policy
from flipside_server.credentials import checked_token, proof
from flipside_server.ddi import checked_sleep
from flipside_server.duration import seconds
from flipside_server.errors import OperatorError
from flipside_server.proxy import NO_PROXY, Network, Proxy, checked_header
from flipside_server.verdict import VERSION_ATTRIBUTES

_KEYS = {
    "devices": (
        "poll",
        "target_tokens",
        "gateway_token",
        "gateway_token_file",
        "registration",
        "certificate_issuers",
    ),
    "proxy": ("trusted", "certificate_header"),
    "hold": ("always", "limit", "version_attributes"),
}
ReadsSecret = Callable[[str], str]
"""Gives the first line of the file of that name."""


@dataclass(frozen=True, slots=True)
class Hold:
    """When a reported success is believed."""

    always: bool = False
    """Every success is held, not only those of assignments that ask for it."""
    limit: int = 24 * 3600
    """Seconds until a held success that never showed itself is an error."""
    attributes: tuple[str, ...] = VERSION_ATTRIBUTES
    """Names under which devices show their version; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set about how devices are served."""

    sleep: str = "00:05:00"
    """Polling interval told to devices, HH:MM:SS."""
    admission: Policy = ANYBODY_KNOWN
    proxy: Proxy = NO_PROXY
    hold: Hold = Hold()


USUAL = Settings()


def parsed(text: str, place: str, secret: ReadsSecret) -> Settings:
    """The settings in this TOML, which stood in the file ``place``."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OperatorError(f"{place} is not valid TOML: {error}") from error
    _refuse_strangers(document, place)
    tables = {name: _Table(name, document.get(name, {}), place) for name in _KEYS}
    return Settings(
        _sleep(tables["devices"]),
        _policy(tables["devices"], secret),
        _proxy(tables["proxy"]),
        _hold(tables["hold"]),
    )


def holds_secret(text: str) -> bool:
    """Whether this TOML, which is valid, says a token itself."""
    return "gateway_token" in tomllib.loads(text).get("devices", {})


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file."""

    name: str
    values: Mapping[str, Any]
    place: str

    def get(self, key: str, default: Any, kind: type, expected: str) -> Any:
        """The value, if it is of the kind."""
        value = self.values.get(key, default)
        if type(value) is not kind:
            raise self.wrong(key, expected)
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of strings."""
        value = self.get(key, list(default), list, "a list of strings")
        if not all(isinstance(one, str) and one for one in value):
            raise self.wrong(key, "a list of strings")
        return tuple(value)

    def wrong(self, key: str, expected: str) -> OperatorError:
        """The complaint about a key; never with its value, which may be a secret."""
        return OperatorError(f"{self.place}: {self.name}.{key} is not {expected}")


def _refuse_strangers(document: Mapping[str, Any], place: str) -> None:
    for name, table in document.items():
        if name not in _KEYS or not isinstance(table, dict):
            raise OperatorError(f"{place}: there is no table [{name}]{_resembling(name, _KEYS)}")
        for key in table:
            if key not in _KEYS[name]:
                hint = _resembling(key, _KEYS[name])
                raise OperatorError(f"{place}: there is no key {name}.{key}{hint}")


def _resembling(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"


def _sleep(table: _Table) -> str:
    expected = "a text HH:MM:SS from 00:00:01 to 23:59:59"
    try:
        return checked_sleep(table.get("poll", USUAL.sleep, str, expected))
    except OperatorError as error:
        raise table.wrong("poll", expected) from error


def _policy(table: _Table, secret: ReadsSecret) -> Policy:
    return Policy(
        target_tokens=table.get("target_tokens", True, bool, "true or false"),
        gateway=_gateway(table, secret),
        registration=table.get("registration", True, bool, "true or false"),
        issuers=table.texts("certificate_issuers", ()),
    )


def _gateway(table: _Table, secret: ReadsSecret) -> str:
    token = table.get("gateway_token", "", str, "a text")
    file = table.get("gateway_token_file", "", str, "the name of a file")
    if token and file:
        raise table.wrong("gateway_token_file", "needed beside gateway_token: give one of them")
    if not token and not file:
        return ""
    try:
        return proof(checked_token(secret(file) if file else token))
    except OperatorError as error:
        key = "gateway_token_file" if file else "gateway_token"
        raise OperatorError(f"{table.place}: {table.name}.{key}: {error}") from error


def _proxy(table: _Table) -> Proxy:
    trusted = tuple(_network(table, text) for text in table.texts("trusted", ()))
    header = table.get("certificate_header", "", str, "the name of a header")
    if header and not trusted:
        raise table.wrong("certificate_header", "of use without trusted: name the proxy there")
    try:
        return Proxy(trusted, checked_header(header) if header else "")
    except OperatorError as error:
        raise OperatorError(f"{table.place}: {error}") from error


def _network(table: _Table, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        expected = "a list of addresses such as 127.0.0.1 or networks such as 10.0.0.0/8"
        raise table.wrong("trusted", expected) from error


def _hold(table: _Table) -> Hold:
    limit = table.get("limit", "24:00:00", str, "a text HH:MM:SS")
    try:
        allowed = seconds(limit)
    except OperatorError as error:
        raise table.wrong("limit", "a text HH:MM:SS, more than nothing") from error
    names = table.texts("version_attributes", VERSION_ATTRIBUTES)
    if not names:
        raise table.wrong("version_attributes", "a list of at least one name")
    return Hold(table.get("always", False, bool, "true or false"), allowed, names)
