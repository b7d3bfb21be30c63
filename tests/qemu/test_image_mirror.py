"""Reading the machine's own apt sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_qemu import mirror
from flipside_qemu.errors import HostError

STANZAS = """\
# where this machine gets Debian from
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


def test_one_line_entry() -> None:
    line = "deb [arch=amd64 signed-by=/k.gpg] https://m.example/debian trixie main contrib # ours\n"
    assert list(mirror.in_list(line)) == ["https://m.example/debian"]


@pytest.mark.parametrize(
    "line",
    [
        "# deb http://m.example/debian trixie main",
        "deb-src http://m.example/debian trixie main",
        "deb http://m.example/debian-security trixie-security main",
        "deb http://m.example/debian trixie non-free",
        "deb http://vendor.example/apt stable-vendor main",
        "deb cdrom:[Debian 12]/ bookworm main",
        "deb file:/srv/debian trixie main",
        "deb",
    ],
)
def test_one_line_entry_that_is_no_archive(line: str) -> None:
    assert list(mirror.in_list(line)) == []


def test_stanza_with_a_comment_and_a_second_stanza() -> None:
    assert list(mirror.in_stanzas(STANZAS)) == ["http://mirror.example/debian"]


def test_continued_fields_are_joined() -> None:
    text = "Types: deb\nURIs:\n http://a.example/debian\n http://b.example/debian\nSuites: sid\n"
    text += "Components:\n main\n"
    assert list(mirror.in_stanzas(text)) == ["http://a.example/debian", "http://b.example/debian"]


def test_disabled_stanza_is_passed_over() -> None:
    assert list(mirror.in_stanzas("Enabled: no\n" + STANZAS.split("\n\n")[0])) == []


def test_without_sources_the_environment_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mirror.VARIABLE, raising=False)
    with pytest.raises(HostError, match="set FLIPSIDE_MIRROR to the address of a mirror"):
        mirror.of_this_machine(tmp_path)
    monkeypatch.setenv(mirror.VARIABLE, "http://mirror.example/debian")
    assert mirror.of_this_machine(tmp_path) == "http://mirror.example/debian"


def test_machine_with_a_vendor_list_beside_debian(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "vendor.list").write_text("deb http://v.example/apt v main\n")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(STANZAS)
    assert mirror.of_this_machine(tmp_path) == "http://mirror.example/debian"
