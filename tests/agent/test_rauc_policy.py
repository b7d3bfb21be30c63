"""RAUC's door on the message bus, tried by real processes of other users on a real dbus-daemon."""

from __future__ import annotations

import asyncio
import grp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.message_bus import PrivateBus
from models.rauc_service import INTERFACE, NAME, RaucService

POLICY = Path(__file__).parents[2] / "agent" / "dbus" / "flipside-rauc.conf"
NOBODY = 65534

# As in dbus-daemon's own system.conf: methods are closed unless a service opens them.
SYSTEM_POLICY = """
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
"""

# As RAUC installs it: everybody may.
RAUC_POLICY = """
<busconfig>
  <policy context="default"><allow send_destination="de.pengutronix.rauc"/></policy>
  <policy user="root"><allow own="de.pengutronix.rauc"/></policy>
</busconfig>
"""

READ = ["org.freedesktop.DBus.Properties.Get", f"string:{INTERFACE}", "string:Compatible"]
MARK = [f"{INTERFACE}.Mark", "string:bad", "string:booted"]
INSTALL = [f"{INTERFACE}.InstallBundle", "string:/tmp/x.raucb", "dict:string:string:"]


@pytest.fixture(name="members")
def _members() -> int:
    """Id of the group that the policy admits, a stand-in for `flipside` if there is none here."""
    names = {group.gr_name: group.gr_gid for group in grp.getgrall()}
    return names.get("flipside", names["games"])


@pytest.fixture(name="directory")
def _directory() -> Iterator[Path]:
    """A directory that other users can enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


def _bus(directory: Path, members: int, *, closed: bool) -> PrivateBus:
    stock, local = directory / "usr-share", directory / "etc"
    stock.mkdir()
    local.mkdir()
    (stock / f"{NAME}.conf").write_text(RAUC_POLICY)
    if closed:
        group = f'group="{grp.getgrgid(members).gr_name}"'
        (local / POLICY.name).write_text(POLICY.read_text().replace('group="flipside"', group))
    includes = f"<includedir>{stock}</includedir><includedir>{local}</includedir>"
    return PrivateBus(directory, policy=SYSTEM_POLICY + includes, kind="system")


def _ask(bus: PrivateBus, destination: str, words: list[str], user: int, groups: list[int]) -> str:
    """Call as this user and say `ok` or how the bus or RAUC refused."""
    argv = ["dbus-send", f"--bus={bus.address}", "--print-reply", f"--dest={destination}", "/"]
    answer = subprocess.run(
        argv + words,
        user=user,
        group=user,
        extra_groups=groups,
        capture_output=True,
        text=True,
        check=False,
    )
    return "ok" if answer.returncode == 0 else answer.stderr.strip()


async def _asked(bus: PrivateBus, user: int, groups: list[int]) -> list[str]:
    rauc = RaucService(bus.address)
    await rauc.power_on()
    assert rauc._link is not None
    loop = asyncio.get_running_loop()
    answers = [
        await loop.run_in_executor(None, _ask, bus, destination, words, user, groups)
        for destination in (NAME, str(rauc._link.unique_name))
        for words in (READ, MARK, INSTALL)
    ]
    rauc.power_off()
    return answers


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can call as another user")
needs_dbus_send = pytest.mark.skipif(
    shutil.which("dbus-send") is None, reason="dbus-send is not installed (apt install dbus-bin)"
)


@needs_root
@needs_dbus_send
def test_nobody_is_refused_and_rauc_does_not_even_hear_of_it(directory: Path, members: int) -> None:
    with _bus(directory, members, closed=True) as bus:
        answers = asyncio.run(_asked(bus, NOBODY, []))
    assert all("AccessDenied" in answer for answer in answers), answers


@needs_root
@needs_dbus_send
@pytest.mark.parametrize("user", [NOBODY, 0], ids=["member", "root"])
def test_members_of_the_group_and_root_reach_rauc(directory: Path, members: int, user: int) -> None:
    groups = [members] if user else []
    with _bus(directory, members, closed=True) as bus:
        answers = asyncio.run(_asked(bus, user, groups))
    assert not [answer for answer in answers if "AccessDenied" in answer]
    assert answers[0] == answers[1] == "ok"


@needs_root
@needs_dbus_send
def test_without_our_policy_nobody_is_let_in(directory: Path, members: int) -> None:
    """The proof that the tests above can fail, and the reason for the policy."""
    with _bus(directory, members, closed=False) as bus:
        answers = asyncio.run(_asked(bus, NOBODY, []))
    assert answers[0] == answers[1] == "ok"
