"""The `flipside` command: keys, bundles, and a look into a bundle."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from flipside_release import bundle, certificates, passphrase
from flipside_release.bundle import Recipe
from flipside_release.certificates import Identity, PrivateKey, Validity
from flipside_release.errors import OperatorError, ReleaseError
from flipside_release.inspection import Inspection, inspect
from flipside_release.keydir import AUTHORITY, KEYRING, SIGNER, KeyDirectory
from flipside_release.parser import parser
from flipside_release.progress import ProgressLine

KEY_BITS: Final = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; whatever may be expected to fail is told in one line."""
    arguments = parser().parse_args(argv)
    try:
        _COMMANDS[arguments.command](arguments)
    except ReleaseError as error:
        print(f"flipside: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("flipside: interrupted.", file=sys.stderr)
        return 130
    return 0


def keys_init(arguments: Namespace) -> None:
    """Make an authority and its first signer."""
    name, signer_name = (
        certificates.subject(f"Update {owner}", arguments.organisation)
        for owner in (AUTHORITY, SIGNER)
    )
    directory = KeyDirectory(arguments.dir)
    directory.reserve(AUTHORITY, SIGNER)
    secret = None if arguments.unencrypted else passphrase.choose(arguments.passphrase_file)
    now = datetime.now(UTC)
    lifetime = certificates.from_now(now, certificates.AUTHORITY_LIFETIME)
    authority = certificates.authority(_new_key(AUTHORITY), name, lifetime)
    lifetime = certificates.from_now(now, certificates.SIGNER_LIFETIME)
    signer = certificates.signer(_new_key(SIGNER), signer_name, lifetime, authority)
    directory.store({AUTHORITY: authority, SIGNER: signer}, secret)
    print(f"Devices that trust {arguments.dir / KEYRING} take what these keys sign.")
    print(f"Keep a copy of {arguments.dir} in a safe place: without it they take nothing more.")
    if secret is None:
        _warn(f"the private keys in {arguments.dir} are not encrypted")


def keys_signer(arguments: Namespace) -> None:
    """Let an authority vouch for another signer."""
    directory = KeyDirectory(arguments.dir)
    directory.reserve(arguments.name)
    secret = _secret(directory, AUTHORITY, arguments)
    authority = directory.load(AUTHORITY, secret)
    name = certificates.subject(
        arguments.common_name or f"Update {arguments.name}",
        certificates.organisation(authority.certificate),
    )
    usual = certificates.from_now(datetime.now(UTC), certificates.SIGNER_LIFETIME)
    lifetime = Validity(
        arguments.not_before or usual.not_before, arguments.not_after or usual.not_after
    )
    certificates.check_lifetime(lifetime, authority.certificate)
    signer = certificates.signer(_new_key(arguments.name), name, lifetime, authority)
    directory.store({arguments.name: signer}, secret)
    print(f"Sign with it by --signer {arguments.name}; devices need nothing new.")


def make_bundle(arguments: Namespace) -> None:
    """Make a signed bundle from an image."""
    recipe = Recipe(
        image=arguments.image,
        output=arguments.output or arguments.image.with_suffix(".raucb"),
        compatible=arguments.compatible,
        version=arguments.version,
        description=arguments.description,
        slot_class=arguments.slot_class,
        level=arguments.compression_level,
        overwrite=arguments.overwrite,
    )
    bundle.check(recipe)
    directory = KeyDirectory(arguments.keys)
    signer = directory.load(arguments.signer, _secret(directory, arguments.signer, arguments))
    _check_expiry(signer, arguments)
    bundle.build(recipe, signer, ProgressLine(f"Packing {recipe.image.name}"))
    _show(recipe.output, inspect(recipe.output, payload=False), as_json=arguments.json)


def inspect_bundle(arguments: Namespace) -> None:
    """Say what a bundle holds and whether its contents are what was signed."""
    inspection = inspect(arguments.bundle, payload=True)
    _show(arguments.bundle, inspection, as_json=arguments.json)
    if not arguments.json:
        print("The contents are what was signed; ask `rauc info` by whom.\n")
        print(_printable(inspection.text), end="")


_COMMANDS: Final = {
    "keys init": keys_init,
    "keys signer": keys_signer,
    "bundle": make_bundle,
    "inspect": inspect_bundle,
}


def _show(path: Path, inspection: Inspection, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"bundle": str(path), **inspection.record()}, indent=2))
        return
    for label, value in (
        ("bundle", f"{path}, {inspection.layout.total} bytes"),
        ("compatible", inspection.manifest.compatible),
        ("version", inspection.manifest.version),
        ("signer", f"{inspection.signer}, until {inspection.signer_until:%Y-%m-%d}"),
        ("manifest hash", inspection.hash),
    ):
        print(f"{label:14} {_printable(value)}")


def _printable(text: str) -> str:
    """A bundle may come from anywhere: its text must not drive the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _secret(directory: KeyDirectory, name: str, arguments: Namespace) -> bytes | None:
    """The passphrase of a key if it has one, and a warning if the key lies open."""
    if exposed := directory.exposed(name):
        _warn(f"others than its owner have access to {exposed}: `chmod 600` it")
    if not directory.needs_passphrase(name):
        return None
    return passphrase.obtain(arguments.passphrase_file, f"the key '{name}'")


def _check_expiry(signer: Identity, arguments: Namespace) -> None:
    now = datetime.now(UTC)
    problem = certificates.expiry_problem(signer.certificate, now)
    if problem and not arguments.allow_expired:
        raise OperatorError(
            f"The certificate of '{arguments.signer}' {problem}, so devices would refuse the "
            "bundle: issue a new one with `flipside keys signer`, or give --allow-expired."
        )
    if problem or certificates.expiry_problem(signer.certificate, now + certificates.SOON):
        when = problem or f"expires on {signer.certificate.not_valid_after_utc:%Y-%m-%d}"
        _warn(f"the certificate of '{arguments.signer}' {when}")


def _new_key(owner: str) -> PrivateKey:
    print(f"Making an RSA-{KEY_BITS} key for '{owner}', this takes seconds.", file=sys.stderr)
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _warn(text: str) -> None:
    print(f"flipside: warning: {text}.", file=sys.stderr)
