"""server-lite, as a peer of the benchmark."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from bench.peer import GATEWAY, Plan, Started, releases

from flipside_qemu.update_server import free_port
from flipside_server.credentials import proof
from flipside_server.orders import AddArtifact, Assign
from flipside_server.premises import occupied
from flipside_server.target import Target

_MAIN = "import sys; from flipside_server.cli import main; sys.exit(main())"


class Lite(Started):
    """server-lite, from this working copy."""

    name = "server-lite"

    def __init__(self, plan: Plan, folder: Path, certificate: Path | None = None) -> None:
        port = free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        settings = folder / "server.toml"
        settings.write_text(f'[devices]\ngateway_token = "{GATEWAY}"\n')
        settings.chmod(0o600)
        options = ["--data", "data", "--config", str(settings), "--listen", f"127.0.0.1:{port}"]
        if certificate is not None:
            options += ["--tls-cert", str(certificate), "--tls-key", str(certificate)]
        command = [sys.executable, "-c", _MAIN, "serve", *options]
        super().__init__(folder, port, command, {}, tls=certificate is not None)
        self._fill(plan)

    def authorization(self, device: str) -> str:
        """Its target token."""
        return f"TargetToken token-of-{device}"

    def newcomer(self) -> str:
        """The gateway's token."""
        return f"GatewayToken {GATEWAY}"

    def _fill(self, plan: Plan) -> None:
        with occupied(self._folder / "data", create=True) as premises:
            assert premises is not None
            store, names = premises.store, plan.names()
            # One line of the log for each, as devices come, and one flush for all.
            with store.exclusive():
                for name in names:
                    store.save(_target(store.new_id(Target), name))
            for version, size, devices in releases(plan):
                order = AddArtifact("fw.raucb", "os", version, size, {})
                premises.control.carry_out(order, io.BytesIO(bytes(size)))
                for device in devices:
                    premises.control.carry_out(Assign(device, f"os:{version}"))


def _target(key: int, name: str) -> Target:
    attributes = {"board": "bench"}
    token = proof(f"token-of-{name}")
    return Target(key, name, token, attributes=attributes, wants_attributes=False)
