"""The agent's configuration: the image's policy, and over it what is this device's own."""

from __future__ import annotations

import stat
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

from flipside_agent.address import Address, address_of
from flipside_agent.checks import HealthPolicy, Weight
from flipside_agent.ddi import PollLimits
from flipside_agent.errors import OperatorError
from flipside_agent.settings import Section, Tables, layered, resembling

_SECTIONS = ("server", "device", "health", "spool", "origin")
_NAME = r"[A-Za-z0-9._:@+-]"
_ABSOLUTE = r"/[^\0]*"
_UNIT = (
    r"[A-Za-z0-9:_.\\@-]{1,240}"
    r"\.(service|socket|target|timer|mount|path|device|automount|swap|slice|scope)"
)


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """Where the update server is and how it is believed."""

    address: Address
    """Of the server itself, its path without a slash at the end."""
    tenant: str
    ca: Path | None
    """The only authority the server is believed by; None for the system's."""
    client_certificate: Path | None
    client_key: Path | None
    poll: PollLimits


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """Who this device is to the server."""

    controller_id: str
    """Empty: the board's own identity is used."""
    target_token: str = field(repr=False)
    gateway_token: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """Value of the ``Authorization`` header; empty for none."""
        if self.target_token:
            return f"TargetToken {self.target_token}"
        return f"GatewayToken {self.gateway_token}" if self.gateway_token else ""


@dataclass(frozen=True, slots=True)
class SpoolPolicy:
    """What is kept of a bundle on the data partition while it is being installed."""

    directory: Path
    reserve: int
    """Bytes that stay free whatever a bundle needs."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be configured."""

    server: ServerPolicy
    device: DevicePolicy
    health: HealthPolicy
    spool: SpoolPolicy
    hold: float
    """Seconds that the origin holds a request of RAUC while the network is away."""
    warnings: tuple[str, ...] = ()
    """One sentence each, to be logged."""


def load(policy: Path, device: Path) -> Config:
    """Read the image's policy and lay the device's own file over it, if there is one."""
    files = [policy, device] if _is_there(device) else [policy]
    documents = [(str(file), _document(file)) for file in files]
    config = config_of(layered(documents), place=str(policy), lenient=str(device))
    exposed = [warning for file, document in documents for warning in _exposed(file, document)]
    return replace(config, warnings=(*config.warnings, *exposed))


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except PermissionError:
        return True  # and the complaint comes when it is read


def _document(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise OperatorError(f"{file} is not valid TOML: {error}") from error


def _exposed(file: str, document: dict[str, object]) -> list[str]:
    """Warn of a token that everybody can read.

    Not refused: an agent that will not run for that can only be mended by hand, on every device.
    """
    device = document.get("device")
    has_token = isinstance(device, dict) and any(key.endswith("_token") for key in device)
    if not has_token or not Path(file).stat().st_mode & stat.S_IROTH:
        return []
    return [f"{file} holds a token and can be read by everybody: chmod o= {file}"]


def config_of(tables: Tables, place: str, lenient: str = "") -> Config:
    """Return the configuration that the tables make, or complain of the first thing wrong.

    Keys that are not known are only warned of in the file ``lenient``: after a fallback an older
    agent must be able to read what a newer one was given. A complaint of something missing names
    the file ``place``.
    """
    sections = {name: Section(name, tables.get(name, {}), place) for name in _SECTIONS}
    config = Config(
        _server(sections["server"]),
        _device(sections["device"]),
        _health(sections["health"]),
        _spool(sections["spool"]),
        hold=sections["origin"].number("hold", 280, 1, 290, "seconds"),
    )
    strangers = [one for section in sections.values() for one in section.strangers()]
    strangers += _foreign_sections(tables)
    for file, complaint in strangers:
        if file != lenient:
            raise OperatorError(complaint)
    return replace(config, warnings=tuple(complaint for _, complaint in strangers))


def _foreign_sections(tables: Tables) -> list[tuple[str, str]]:
    return [
        (
            setting.file,
            f"{setting.file}: there is no section [{name}]" + resembling(name, _SECTIONS),
        )
        for name, settings in tables.items()
        if name not in _SECTIONS
        for setting in list(settings.values())[:1]
    ]


def _server(section: Section) -> ServerPolicy:
    url = section.text("url", "", r".*", "an http(s) URL")
    address = address_of(url)
    if address is None or "?" in address.target:
        raise section.wrong("url", "an http(s) URL")
    certificate = section.path("client_certificate", "")
    key = section.path("client_key", "")
    if key is not None and certificate is None:
        raise section.wrong("client_key", "server.client_certificate beside it")
    return ServerPolicy(
        address=Address(address.site, address.target.rstrip("/")),
        tenant=section.text("tenant", "DEFAULT", _NAME + "{1,64}", "a name of letters and digits"),
        ca=section.path("ca", ""),
        client_certificate=certificate,
        client_key=key,
        poll=PollLimits(
            shortest=section.number("poll_shortest", 5, 1, 86400, "seconds"),
            longest=section.number("poll_longest", 86400, 1, 604800, "seconds"),
            unsaid=section.number("poll_unsaid", 300, 1, 86400, "seconds"),
        ),
    )


def _device(section: Section) -> DevicePolicy:
    device = DevicePolicy(
        controller_id=section.text(
            "controller_id", "", _NAME + "{0,128}", "a name of letters, digits and . _ : @ + -"
        ),
        target_token=section.secret("target_token"),
        gateway_token=section.secret("gateway_token"),
    )
    if device.target_token and device.gateway_token:
        raise OperatorError(
            f"{section.file('gateway_token')}: device.gateway_token is set,"
            " expected nothing beside device.target_token: a device has one of them"
        )
    return device


def _health(section: Section) -> HealthPolicy:
    weight = section.text("server", "wanted", "wanted|required|off", "wanted, required or off")
    return HealthPolicy(
        units=section.texts("units", _UNIT, "names of units"),
        no_failed_units=section.flag("no_failed_units", default=False),
        directory=section.text(
            "directory", "/etc/flipside/health.d", _ABSOLUTE, "an absolute path"
        ),
        deadline=section.number("deadline", 300, 1, 3600, "seconds"),
        retries=section.count("retries", 2, 0, 100, "times"),
        pause=section.number("pause", 5, 0.1, 600, "seconds"),
        server=None if weight == "off" else Weight(weight),
    )


def _spool(section: Section) -> SpoolPolicy:
    directory = section.text("directory", "/data/flipside/spool", _ABSOLUTE, "an absolute path")
    mebibytes = section.count("reserve_mib", 64, 0, 1 << 20, "MiB")
    return SpoolPolicy(Path(directory), reserve=mebibytes << 20)
