"""The manifest as text and back."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flipside_release.errors import BundleError, OperatorError
from flipside_release.manifest import (
    Image,
    Manifest,
    Verity,
    check_slot_class,
    check_value,
    dumps,
    loads,
    manifest_hash,
    salt,
)

DIGEST = "ab" * 32
EXAMPLE = Manifest(
    compatible="test-board",
    version="2.1",
    description=None,
    images=(Image("rootfs", "rootfs.img", DIGEST, 4096),),
    verity=Verity(root="12" * 32, salt="34" * 32, size=8192),
)


def accepted(text: str) -> bool:
    try:
        check_value("--version", text)
    except OperatorError:
        return False
    return True


lines = st.text(min_size=1, max_size=40).filter(accepted)


def test_the_text() -> None:
    assert dumps(EXAMPLE).decode() == (
        "[update]\ncompatible=test-board\nversion=2.1\n"
        "\n[bundle]\nformat=verity\n"
        f"verity-hash={'12' * 32}\nverity-salt={'34' * 32}\nverity-size=8192\n"
        f"\n[image.rootfs]\nsha256={DIGEST}\nsize=4096\nfilename=rootfs.img\n"
    )


@given(lines, lines, st.none() | lines, st.integers(min_value=1))
def test_what_is_written_is_read(
    compatible: str, version: str, description: str | None, size: int
) -> None:
    manifest = Manifest(
        compatible,
        version,
        description,
        (Image("rootfs", "rootfs.img", DIGEST, size), Image("data", "data.ext4", DIGEST, 1)),
        EXAMPLE.verity,
    )
    assert loads(dumps(manifest)) == manifest


@pytest.mark.parametrize(
    "value", ["", " 1", "1 ", "a\nb=c", "a\x1b[2J", "\x85", "x" * 1025, "\u2028"]
)
def test_a_value_that_would_break_the_manifest_is_refused(value: str) -> None:
    with pytest.raises(OperatorError, match="--version"):
        check_value("--version", value)


@pytest.mark.parametrize("name", ["", "rootfs.0", "root/fs", "a]b", "-x", "röot"])
def test_a_slot_class_that_rauc_would_misread_is_refused(name: str) -> None:
    with pytest.raises(OperatorError, match="slot class"):
        check_slot_class(name)


def test_the_hash_is_of_the_very_bytes() -> None:
    assert manifest_hash(b"x") == hashlib.sha256(b"x").hexdigest()


@given(lines, lines)
def test_the_salt_follows_from_what_is_packed(one: str, other: str) -> None:
    assume(one != other)
    assert len(salt(one.encode())) == 32
    assert salt(one.encode()) == salt(one.encode()) != salt(other.encode())


def test_a_bundle_made_by_rauc_is_read() -> None:
    text = (
        "[update]\ncompatible=board\nversion=1\ndescription=\\sone\\ntwo\\\\\nbuild=7\n\n"
        "[bundle]\nformat=verity\n"
        f"verity-hash={DIGEST}\nverity-salt={DIGEST}\nverity-size=4096\n\n"
        "[hooks]\nfilename=hook\n\n[meta.x]\nkey=value\n\n"
        f"[image.rootfs.variant]\nsha256={DIGEST}\nsize=3\nfilename=a+b.img\nadaptive=x;\n"
    )
    manifest = loads(text.encode())
    assert manifest.description == " one\ntwo\\"
    assert manifest.images == (Image("rootfs.variant", "a+b.img", DIGEST, 3),)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("format=verity", "format=crypt", "format 'verity', this one is 'crypt'"),
        ("format=verity\n", "", "this one is 'plain'"),
        ("compatible=test-board\n", "", "lacks 'compatible'"),
        ("verity-size=8192", "verity-size=-1", "verity-size='-1'"),
        ("verity-size=8192", "verity-size=²", "expected a decimal number"),
        ("verity-hash=12", "verity-hash=xy", "expected 64 hex digits"),
        ("filename=rootfs.img", "filename=../x", "plain file name"),
        ("[update]", "", "cannot be read"),
    ],
)
def test_a_bad_manifest_is_told(old: str, new: str, complaint: str) -> None:
    text = dumps(EXAMPLE).decode()
    assert old in text
    with pytest.raises(BundleError, match=complaint):
        loads(text.replace(old, new).encode())


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        loads(b"\xff\xfe")
