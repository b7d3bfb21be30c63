"""A device without our agent: the real RAUC, driven by the real rauc-hawkbit-updater.

Of Flipside it keeps the boot loader's scheme and RAUC's backend for it. What runs is marked good as
soon as everything has started, as RAUC's own ``rauc-mark-good.service`` does.
"""

from __future__ import annotations

import re
from pathlib import Path

from flipside_qemu import guest, toolbox
from flipside_qemu.toolbox import Toolbox
from flipside_qemu.tree import File, Layer, Link
from flipside_qemu.update_server import GUEST_VIEW, UpdateServer
from flipside_qemu.workshop import TARGET

PROGRAM = "rauc-hawkbit-updater"
CONFIG = "stock/updater.conf"
"""On the data partition: a flip changes neither name nor token."""
_PLACE = "opt/stock"
_UNITS = "usr/lib/systemd/system"
_SYSTEM_CONF = "hal/rauc/qemu-x86_64/system.conf"
_START = f"""\
#!/bin/sh
. /etc/os-release
{{ cat /data/{CONFIG}; printf '[device]\\nversion = %s\\n' "$IMAGE_VERSION"; }} > /run/updater.conf
exec /{_PLACE}/lib/loader --library-path /{_PLACE}/lib /{_PLACE}/{PROGRAM} -c /run/updater.conf
"""
_UPDATER = f"""\
[Unit]
After=data.mount dbus.service mark-good.service
[Service]
ExecStart=/{_PLACE}/start
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
"""
_MARK_GOOD = """\
[Unit]
After=data.mount dbus.service
[Service]
Type=oneshot
ExecStart=rauc status mark-good
[Install]
WantedBy=multi-user.target
"""


def layer(tools: Toolbox) -> Layer:
    """What makes a stock device of ours, laid into every image of it."""
    ours = ("flipside-agent.service", "flipside-trial.timer", "flipside-trial-journal.service")
    return {
        **{f"etc/systemd/system/{name}": Link("/dev/null") for name in ours},
        "etc/rauc/system.conf": File(_activating()),
        f"{_UNITS}/updater.service": File(_UPDATER.encode()),
        f"{_UNITS}/mark-good.service": File(_MARK_GOOD.encode()),
        f"{_PLACE}/start": File(_START.encode(), 0o755),
        **_program(tools),
    }


def provision(server: UpdateServer, *, streams: bool) -> dict[str, bytes]:
    """What a new device is given on its data partition."""
    options = {
        "hawkbit_server": f"{GUEST_VIEW}:{server.port}",
        "ssl": "false",
        "target_name": TARGET,
        "auth_token": server.add_target(TARGET),
        "retry_wait": "5",
        "log_level": "message",
        "post_update_reboot": "true",
        "bundle_download_location": "/data/bundle.raucb",
        "stream_bundle": str(streams).lower(),
    }
    lines = "".join(f"{key} = {value}\n" for key, value in options.items())
    return {CONFIG: f"[client]\n{lines}".encode()}


def _activating() -> bytes:
    """The device's ``system.conf``, but for who activates what is installed: RAUC."""
    text = guest.text(guest.REPOSITORY / _SYSTEM_CONF)
    assert "activate-installed=false\n" in text
    return text.replace("activate-installed=false\n", "").encode()


def _program(tools: Toolbox) -> Layer:
    """The client and the libraries that it is linked to."""
    loader, option, libraries, program = tools.argv(PROGRAM)
    listed = toolbox.run([loader, option, libraries, "--list", program]).decode()
    files = {Path(name).name: Path(name) for name in re.findall(r"=> (/\S+)", listed)}
    found: Layer = {f"{_PLACE}/lib/{name}": File(path.read_bytes()) for name, path in files.items()}
    return {
        **found,
        f"{_PLACE}/lib/loader": File(Path(loader).read_bytes(), 0o755),
        f"{_PLACE}/{PROGRAM}": File(Path(program).read_bytes(), 0o755),
    }
