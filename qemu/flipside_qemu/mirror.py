"""Where this machine gets Debian from: the mirror its own apt uses, and how apt reaches it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flipside_qemu.errors import HostError

VARIABLE = "FLIPSIDE_MIRROR"
"""Names an archive in the environment, for machines that have none in their apt's sources."""
SOURCES = Path("/etc/apt")

# The suites of a full archive; a "-security" or "-updates" suite is not one.
_SUITES = re.compile(r"^(?:bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$")
# A scheme that works from inside a namespace, with no list or medium of the host.
_SCHEMES = ("http://", "https://")


def of_this_machine(directory: Path = SOURCES) -> str:
    """URI of the Debian archive that apt on this machine uses."""
    lists = [directory / "sources.list", *sorted(directory.glob("sources.list.d/*.list"))]
    stanzas = sorted(directory.glob("sources.list.d/*.sources"))
    found = [
        *(uri for path in lists for uri in in_list(_text(path))),
        *(uri for path in stanzas for uri in in_stanzas(_text(path))),
    ]
    found += [os.environ[VARIABLE]] if os.environ.get(VARIABLE) else []
    if not found:
        raise HostError(
            f"{directory} names no Debian archive, expected apt's sources to have one; "
            f"set {VARIABLE} to the address of a mirror"
        )
    return found[0]


def in_list(text: str) -> Iterator[str]:
    """Debian archives among the one-line entries of a ``sources.list`` (sources.list(5))."""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) > 3 and words[0] == "deb":
            yield from _archives([words[1]], [words[2]], words[3:])


def in_stanzas(text: str) -> Iterator[str]:
    """Debian archives among the stanzas of a ``.sources`` file (sources.list(5), DEB822)."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = _fields(stanza)
        if "deb" in _words(fields, "types") and fields.get("enabled", "yes").strip() != "no":
            yield from _archives(*(_words(fields, key) for key in ("uris", "suites", "components")))


def apt_settings() -> list[str]:
    """How apt on this machine goes through proxies and checks certificates, as ``--aptopt``."""
    try:
        dump = subprocess.run(
            ["apt-config", "dump"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    wanted = re.compile(r"^Acquire::https?::\S* \".+\";$")
    return [line for line in dump.splitlines() if wanted.match(line)]


def _archives(uris: Iterable[str], suites: Iterable[str], parts: Iterable[str]) -> Iterator[str]:
    if "main" in parts and any(_SUITES.match(suite) for suite in suites):
        yield from (uri.rstrip("/") for uri in uris if uri.startswith(_SCHEMES))


def _fields(stanza: str) -> dict[str, str]:
    """Fields of one stanza by lower-case name; a line that begins with a space continues one."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = fields.get(name, "") + " " + line
            continue
        name, _, value = line.partition(":")
        name = name.lower()
        fields[name] = value
    return fields


def _words(fields: Mapping[str, str], name: str) -> list[str]:
    return fields.get(name, "").split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
