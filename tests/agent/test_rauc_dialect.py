"""RAUC's words: each error text that it is known to say, and whom it blames."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flipside_agent.errors import AgentError, DeviceError, NetworkError, UpdateError
from flipside_agent.rauc_dialect import (
    MAX_TEXT,
    MEANINGS,
    BundleRefused,
    BundleUnreachable,
    BundleUnreadable,
    ClockNotSet,
    RaucBusy,
    RaucFailed,
    RaucInfo,
    Slot,
    booted,
    check_room,
    failure,
    find,
    info_from,
    landed,
    progress_in,
    readable,
    slot_status,
    slots_from,
    unsupported_key,
)

STREAM = "Failed to stream bundle http://127.0.0.1:4711/bundle: "
UPDATING = "Installation error: Failed updating slot rootfs.1: "
INVALID = "Invalid bundle format: "

TEXTS: list[tuple[str, type[AgentError]]] = [
    ("already processing a different method", RaucBusy),
    ("Already processing a different method", RaucBusy),
    ("Failed mounting bundle: Failed to create dm device: Device or resource busy", RaucBusy),
    # signature.c
    ("signature verification failed: Verify error: self-signed certificate", BundleRefused),
    ("signature verification failed: Verify error: certificate has expired", BundleRefused),
    ("signature verification failed: Verify error: unsuitable certificate purpose", BundleRefused),
    ("signature verification failed: Verify error: certificate is not yet valid", ClockNotSet),
    ("Unsupported number of signers: 2", BundleRefused),
    ("Signer certificate does not specify extended key usage code signing", BundleRefused),
    ("Signer certificate key usage does not allow digital signatures", BundleRefused),
    ("Failed to verify X509 cert: certificate revoked", BundleRefused),
    ("failed to load CA file '/etc/rauc/keyring.pem' and/or directory '(null)'", RaucFailed),
    ("No keyring file or directory provided", RaucFailed),
    # bundle.c
    (INVALID + "Signature size is 0", BundleRefused),
    (INVALID + "Signature size (99999999) exceeds 64KiB", BundleRefused),
    (INVALID + "Bundle size (3) is too small", BundleRefused),
    (INVALID + "Payload size (4097) is not a multiple of 4KiB.", BundleRefused),
    (INVALID + "Failed to parse CMS", BundleRefused),
    (INVALID + "Failed to read signature from bundle: failed to read data from remote server",
     BundleUnreachable),
    ("Bundle format 'plain' not allowed", BundleRefused),
    ("Bundle format 'plain' not supported in streaming mode", BundleRefused),
    ("Failed to load manifest: Missing key 'format'", BundleRefused),
    ("Failed to check manifest: Missing hash for image rootfs.ext4", BundleRefused),
    ("Encrypted bundle detected, but no decryption key given.", BundleRefused),
    ("Failed to decrypt bundle: Failed to decrypt CMS EnvelopedData", BundleRefused),
    ("Remote bundle access not supported, recompile with -Dstreaming=true", RaucFailed),
    # install.c
    ("Compatible mismatch: Expected 'a' but bundle manifest has 'b'", BundleRefused),
    ("Version mismatch: Expected at least '2' but bundle manifest has '1'", BundleRefused),
    ("Refusing to install bundle with unexpected hash (expected ffff, got e858)", BundleRefused),
    ("Refusing to install plain bundle when using require-manifest-hash", BundleRefused),
    ("Bundle rejected: Hook returned with exit code 10: no.", BundleRefused),
    ("Install-check hook failed: failed to start bundle hook", BundleRefused),
    ("Installation error: Source image 'rootfs.ext4' not found in bundle", BundleRefused),
    ("Failed to find matching variant of image for slot class 'rootfs'", BundleRefused),
    ("Installation error: Destination device '/dev/x' for slot 'rootfs.1' not found", RaucFailed),
    ("Installation error: Failed marking slot rootfs.1 non-bootable: failed", RaucFailed),
    ("Installation error: Error while writing status file: No space left on device", RaucFailed),
    ("Post-install handler error: Child process exited with code 1", RaucFailed),
    ("Pre-install handler error: Child process exited with code 1", RaucFailed),
    ("Could not determine target group", RaucFailed),
    # mount.c, dm.c, nbd.c
    ("Failed mounting bundle: failed to mount bundle: No such device", RaucFailed),
    ("Failed mounting bundle: Failed to open /dev/loop-control: Permission denied", RaucFailed),
    ("Failed mounting bundle: failed to resolve 'nbd' netlink family", RaucFailed),
    ("Failed mounting bundle: Check read from dm-verity device failed: Input/output error",
     BundleUnreadable),
    ("Failed mounting bundle: Unexpected dm-verity status 'C' (instead of 'V')", BundleUnreadable),
    ("Failed mounting bundle: Unexpected empty dm-verity status '' (instead of 'V')",
     BundleUnreadable),
    (STREAM + "failed to configure streaming: server not responding", BundleUnreachable),
    (STREAM + "failed to configure streaming: unexpected HTTP error code 503", BundleUnreachable),
    (STREAM + "unauthorized: unexpected HTTP error code 401", BundleUnreachable),
    (STREAM + "not found: unexpected HTTP error code 404", BundleUnreachable),
    (STREAM + "server did not send bundle size", BundleUnreachable),
    (STREAM + "failed to prepare streaming subprocess: user nobody not found in user database",
     RaucFailed),
    ("Failed to download bundle http://x: Transfer failed", BundleUnreachable),
    # update_handler.c
    (UPDATING + "Slot (1024 bytes) is too small for image (4096 bytes).", BundleRefused),
    (UPDATING + "Size of image (9) does not fit to slot size 8", BundleRefused),
    (UPDATING + "Unsupported image type 'x' for slot type 'ext4'", BundleRefused),
    (UPDATING + "Failed to copy data: Error reading from file: Input/output error",
     BundleUnreadable),
    (UPDATING + "Failed to copy data: Error splicing file: Input/output error", BundleUnreadable),
    (UPDATING + "Failed to copy data: Error writing to file descriptor: Input/output error",
     RaucFailed),
    (UPDATING + "Opening device failed: Read-only file system", RaucFailed),
    ("something that nobody has seen yet", RaucFailed),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_error_text_tells_whom_to_blame(text: str, kind: type[AgentError]) -> None:
    error = failure(text)
    assert type(error) is kind
    assert str(error).endswith(text)


def test_every_row_of_the_table_has_a_text() -> None:
    lowered = [text.lower() for text, _ in TEXTS]
    assert [part for part, _ in MEANINGS if not any(part in text for text in lowered)] == []


def test_each_meaning_belongs_to_one_family() -> None:
    assert issubclass(BundleRefused, UpdateError)
    assert issubclass(BundleUnreachable, NetworkError)
    assert issubclass(ClockNotSet, NetworkError)
    for kind in (BundleUnreadable, RaucBusy, RaucFailed):
        assert issubclass(kind, DeviceError)


def test_texts_become_one_short_printable_line() -> None:
    hostile = (
        "Compatible mismatch: Expected 'x' but bundle manifest has '\x1b[2J\n\u202e" + "y" * 999
    )
    text = readable(hostile)
    assert text.isprintable()
    assert "\n" not in text
    assert len(text) == MAX_TEXT


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Unsupported key: require-manifest-hash", "require-manifest-hash"),
        ("Unsupported key: transaction-id\n", "transaction-id"),
        ("Already processing a different method", ""),
        ("signature verification failed: Unsupported key: x", ""),
    ],
)
def test_unsupported_key_is_named(text: str, key: str) -> None:
    assert unsupported_key(text) == key


@pytest.mark.parametrize(
    ("body", "progress"),
    [
        (("i", {"Progress": [46, "Copying", 3]}, []), (46, "Copying")),
        (("i", {"Progress": [100, "Installing failed.", 1], "LastError": "x"}, []),
         (100, "Installing failed.")),
        (("i", {"Progress": [400, "x", 1]}, []), (100, "x")),
        (("i", {"Operation": "idle"}, []), None),
        ((0,), None),
    ],
)  # fmt: skip
def test_progress_is_found_in_what_changed(
    body: tuple[object, ...], progress: tuple[int, str] | None
) -> None:
    assert progress_in(body) == progress


STATUS: list[tuple[str, dict[str, Any]]] = [
    (
        "rootfs.1",
        {
            "class": "rootfs",
            "bootname": "B",
            "state": "inactive",
            "boot-status": "bad",
            "status": "ok",
            "size": 1 << 33,
            "bundle.hash": "AA" * 32,
            "bundle.version": "2",
            "installed.transaction": "t1",
        },
    ),
    ("efi.0", {"class": "efi", "state": "inactive"}),
    ("rootfs.0", {"class": "rootfs", "bootname": "A", "state": "booted", "boot-status": "good"}),
]


def test_slots_come_by_name_with_what_rauc_knows() -> None:
    slots = slots_from(STATUS)
    assert [slot.name for slot in slots] == ["efi.0", "rootfs.0", "rootfs.1"]
    assert slots[2] == Slot(
        name="rootfs.1",
        bootname="B",
        state="inactive",
        status="ok",
        boot_status="bad",
        manifest_hash="aa" * 32,
        version="2",
        transaction="t1",
    )
    assert booted(slots).name == "rootfs.0"
    written = slot_status(find(slots, "B"))
    assert (written.bootname, written.written, written.good) == ("B", True, False)
    assert written.manifest_hash == "aa" * 32
    assert not slot_status(find(slots, "A")).written


def test_missing_slots_are_the_devices_fault() -> None:
    with pytest.raises(DeviceError, match="which slot is booted"):
        booted(())
    with pytest.raises(DeviceError, match="bootname C"):
        find(slots_from(STATUS), "C")


def _slot(status: str, transaction: str = "", state: str = "inactive") -> Slot:
    return Slot("rootfs.1", "B", state, status, manifest_hash="aa", transaction=transaction)


@pytest.mark.parametrize(
    ("slot", "transaction", "expected"),
    [
        (_slot("ok", "t1"), "t1", True),
        (_slot("ok", "t0"), "t1", False),
        (_slot("failed", "t1"), "t1", False),
        (_slot("pending", "t1"), "t1", False),
        (_slot("ok"), "", True),
        (_slot("ok", state="booted"), "", False),
    ],
)
def test_an_installation_landed_if_the_slot_says_so(
    slot: Slot, transaction: str, expected: bool
) -> None:
    assert landed([slot], transaction, "aa") is expected


def test_information_of_a_bundle() -> None:
    answer = {
        "manifest-hash": "E8" * 32,
        "update": {"version": "2", "compatible": "flipside-qemu", "build": "20261123"},
        "bundle": {"format": "verity"},
        "images": [{"slot-class": "rootfs", "size": 4096}, {"slot-class": "appfs"}],
    }
    info = info_from(answer)
    assert (info.manifest_hash, info.version, info.format) == ("e8" * 32, "2", "verity")
    assert (info.compatible, info.build, info.description) == ("flipside-qemu", "20261123", "")
    assert info.sizes == (("rootfs", 4096), ("appfs", 0))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Verify error: certificate has expired", "its signer's certificate had ended"),
        ("Verify error: unable to get local issuer certificate", "nobody whom this device trusts"),
        ("Verify error: unsuitable certificate purpose", "not made for signing bundles"),
        ("error:1700009E:CMS routines::verification failure", "it was changed after it was signed"),
    ],
)
def test_a_reason_is_told_before_openssls_words_for_it(text: str, reason: str) -> None:
    told = str(failure(f"signature verification failed: {text}"))
    assert re.match(f"RAUC refused the bundle because .*{reason}.*: signature.*{text}", told)


def test_what_is_not_the_bundles_fault_gets_no_reason_from_it() -> None:
    assert "because" not in str(failure("failed to load CA file: certificate has expired"))


def test_an_image_must_fit_into_every_slot_that_it_may_be_written_to() -> None:
    info = RaucInfo("e8" * 32, "2", "flipside-qemu", sizes=(("rootfs", 4097),))
    running = Slot("rootfs.0", "A", "booted", room=1)
    other_kind = Slot("appfs.1", "", "inactive", room=1)
    who_knows = Slot("rootfs.2", "C", "inactive")
    check_room(info, [running, other_kind, who_knows, Slot("rootfs.1", "B", "inactive", room=4097)])
    with pytest.raises(BundleRefused, match=r"rootfs.1 has 4097 bytes, .* room for only 4096"):
        check_room(info, [running, Slot("rootfs.1", "B", "inactive", room=4096)])
