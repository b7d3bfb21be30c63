"""Which systemd units start: the links that ``systemctl enable`` would make."""

from __future__ import annotations

from flipside_qemu.tree import File, Layer, Link

DIRECTORY = "usr/lib/systemd/system/"


def enabled(layer: Layer) -> dict[str, Link]:
    """Links for every unit of this layer with an install section (systemd.unit(5), [Install])."""
    links = {}
    for path, entry in layer.items():
        name = path.removeprefix(DIRECTORY)
        if isinstance(entry, File) and path.startswith(DIRECTORY) and "/" not in name:
            for target in _wanted_by(entry.content.decode(errors="replace")):
                links[f"{DIRECTORY}{target}.wants/{name}"] = Link(f"../{name}")
    return links


def _wanted_by(text: str) -> list[str]:
    targets: list[str] = []
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line
        elif section == "[Install]" and line.startswith("WantedBy="):
            targets += line.removeprefix("WantedBy=").split()
    return targets
