"""A device that is updated by the real SWUpdate, in its suricatta mode (hawkBit)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flipside_qemu.toolbox import Toolbox
from models import debian_clients, swu
from models.debian_clients import Client
from models.swu import Signer

_CONFIG = """globals : {{ public-key-file = "{key}"; }};
suricatta : {{
  tenant = "DEFAULT"; id = "pi-1"; url = "http://{server}"; targettoken = "{token}";
  polldelay = 1; retry = 3; retrywait = 1;
}};
identify : ( {identity} );
"""


@dataclass(frozen=True)
class Edition:
    """How one suite's SWUpdate differs from the others'."""

    suite: str
    cms: bool
    """It checks signatures with certificates, instead of a bare RSA key."""
    named: bool
    """It has more suricatta modules than hawkBit's, and wants to be told which."""
    frail: bool = False
    """It dies of a broken pipe now and then, which SWUpdate 2024.05 put right."""


EDITIONS = (
    Edition("bookworm", cms=True, named=False, frail=True),
    Edition("trixie", cms=True, named=True),
    Edition("forky", cms=False, named=True),
)


@dataclass
class Suricatta:
    """The device: its configuration, its key and its other slot, which is a file."""

    tools: Toolbox
    edition: Edition
    place: Path
    server: str
    token: str
    signer: Signer
    identity: dict[str, str] = field(default_factory=lambda: {"version": "1"})
    """What the image that runs says of itself."""

    @property
    def slot(self) -> bytes:
        """What was written."""
        return self._slot.read_bytes()

    def update(self, version: str, image: bytes, signer: Signer | None = None) -> bytes:
        """An update for it."""
        by = signer or self.signer
        return swu.update(version, image, self._slot, by, cms=self.edition.cms)

    @contextmanager
    def running(self, *options: str) -> Iterator[Client]:
        """Run it; the options are suricatta's, such as ``-c 2`` for a boot that went well."""
        words = [*(("-S", "hawkbit") if self.edition.named else ()), *options]
        command = self.tools.argv("swupdate", "-f", self._configured(), "-l", "4")
        command += ["-H", f"{swu.BOARD}:{swu.REVISION}", "-u", " ".join(words)]
        if self.edition.frail:
            command = debian_clients.restarted(command)
        log = self.place / "swupdate.log"
        # Newer ones have their sockets in /run, older ones beside what they unpack.
        command = debian_clients.with_own_run(command)
        client = debian_clients.start(command, log, {"TMPDIR": str(self.place)})
        try:
            yield client
        finally:
            client.stop()

    @property
    def _slot(self) -> Path:
        return self.place / "slot"

    def _configured(self) -> Path:
        key, config = self.place / "update.pem", self.place / "swupdate.cfg"
        self.signer.write_public(key, cms=self.edition.cms)
        pairs = self.identity.items()
        identity = ", ".join(f'{{ name = "{name}"; value = "{value}"; }}' for name, value in pairs)
        given = {"key": key, "server": self.server, "token": self.token}
        config.write_text(_CONFIG.format(**given, identity=identity))
        return config


def device(edition: Edition, place: Path, server: str, token: str) -> Suricatta:
    """A device that knows its server (``host:port``) and its token, with an empty slot."""
    tools = debian_clients.unpacked(edition.suite)
    made = Suricatta(tools, edition, place, server, token, swu.new_signer())
    (place / "slot").write_bytes(b"")
    return made
