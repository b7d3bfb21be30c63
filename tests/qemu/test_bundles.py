"""Bundles that must not be installed: each is refused in time, and with a reason that helps.

One device bears them all in a row, without a reboot, and then takes a good update.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flipside_qemu.disk import PARTITIONS
from flipside_qemu.workshop import NAME, TARGET
from flipside_release.keydir import AUTHORITY, KeyDirectory
from models.bad_bundles import BadBundle, BadBundles
from models.flight import Flight
from models.hangar import Hangar
from models.kits import KITS

pytestmark = [
    pytest.mark.boards(*KITS),
    pytest.mark.slow,
    pytest.mark.timeout(5400),
]


@dataclass(frozen=True, slots=True)
class Case:
    """A flaw, and what is to be said of it."""

    make: Callable[[BadBundles], BadBundle]
    reason: str
    """What a person reads first, as a regular expression."""
    detail: str = ""
    """What an expert reads behind it."""


NOT_TRUSTED = "nobody whom this device trusts has signed it"
CHANGED = "it was changed after it was signed"

REFUSED_BEFORE_A_WRITE = (
    Case(BadBundles.wrong_signature, CHANGED),
    Case(BadBundles.expired_signer, "its signer's certificate had ended", "expired"),
    Case(BadBundles.foreign_authority, NOT_TRUSTED, "issuer"),
    Case(BadBundles.wrong_purpose, "its signer's certificate is not made for signing", "purpose"),
    Case(BadBundles.no_signing_time, "does not say when it was signed"),
    Case(BadBundles.wrong_compatible, "it is made for other devices", "coffee-machine"),
    Case(BadBundles.truncated, "it is not a signed RAUC bundle", "signature length of [0-9]+ "),
    Case(BadBundles.no_bundle, "it is not a signed RAUC bundle", "signature length of 0 "),
    Case(BadBundles.flipped_manifest, CHANGED),
    Case(BadBundles.plain, "this device takes no bundles of that format", "plain"),
    Case(BadBundles.larger_than_the_slot, "has [0-9]+ bytes, but there is room for only [0-9]+"),
    Case(BadBundles.other_hash, "the bundle's manifest hash is [0-9a-f]{64}", "expected 5{64}"),
)


@pytest.fixture(scope="module")
def flight(_hangar: Hangar) -> Flight:
    """The one device of this chapter, which remembers."""
    return _hangar.ready(failures=0)


@pytest.fixture(scope="module")
def bad(flight: Flight, tmp_path_factory: pytest.TempPathFactory) -> BadBundles:
    """Whoever makes the bad bundles; also holds the keys that the device trusts."""
    owner = KeyDirectory(flight.shop.keys()).load(AUTHORITY, None)
    (slot_size,) = (partition.size for partition in PARTITIONS if partition.name == "root-b")
    whole = flight.shop.ship("2", {}).path
    compatible = flight.shop.board.compatible
    return BadBundles(tmp_path_factory.mktemp("bad"), owner, compatible, slot_size, whole)


@pytest.mark.parametrize("case", REFUSED_BEFORE_A_WRITE, ids=lambda case: case.make.__name__)
def test_it_is_refused_before_anything_is_written(
    flight: Flight, bad: BadBundles, case: Case
) -> None:
    before = untouched(flight)
    flight.refused(shipped(flight, case.make(bad)), case.reason, case.detail)
    assert untouched(flight) == before


def test_a_payload_that_is_not_what_was_signed_is_found_while_it_is_copied_and_never_booted(
    flight: Flight, bad: BadBundles
) -> None:
    flight.refused(shipped(flight, bad.flipped_payload()), "the payload is not what was signed")
    flight.device.reboot()
    assert flight.device.booted_slot() == "A"
    assert flight.is_confirmed("A")
    assert not flight.is_confirmed("B")
    state = flight.device.shell.check("rauc status --detailed --output-format=shell")
    assert "RAUC_BOOT_PRIMARY='rootfs.0'" in state


def test_an_empty_file_is_refused_at_the_counter(flight: Flight, tmp_path: Path) -> None:
    empty = tmp_path / "empty.raucb"
    empty.touch()
    with pytest.raises(Exception, match="the file is empty: there is nothing to install in it"):
        flight.server.add_bundle(empty, NAME, flight.next_version(), {})


def test_after_all_that_a_good_update_lands(flight: Flight) -> None:
    flight.good_update()


def shipped(flight: Flight, bundle: BadBundle) -> int:
    """Publish a bundle as the next version and assign it; the action's id."""
    version = flight.next_version()
    named = {"flipside.manifest-hash": bundle.manifest_hash}
    flight.server.add_bundle(bundle.path, NAME, version, named)
    return flight.server.assign(TARGET, NAME, version)


def untouched(flight: Flight) -> str:
    """What changes with the first byte that is written to the other slot, or to the boot state."""
    return flight.device.shell.check(
        "lsblk=$(readlink -f /dev/disk/by-partlabel/root-b);"
        " cut -c1-200 /sys/class/block/${lsblk##*/}/stat | awk '{print $7}';"
        " find /efi -type f -exec sha256sum {} +"
    )
