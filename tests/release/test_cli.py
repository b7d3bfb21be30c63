"""The `flipside keys` commands, as they are typed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from flipside_release import cli
from flipside_release.cli import main
from flipside_release.errors import BundleError, OperatorError, ReleaseError, WorkstationError
from flipside_release.parser import parser

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from flipside_release.cli import main; sys.exit(main())",
]


@pytest.fixture
def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a test that does not look at them the seconds for RSA-4096."""
    monkeypatch.setattr(cli, "KEY_BITS", 2048)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_an_authority_and_a_signer_of_4096_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    assert main(["keys", "init", str(path), "--unencrypted", "--organisation", "Ex & Co"]) == 0
    authority = certificate(path / "authority.cert.pem")
    signer = certificate(path / "signer.cert.pem")
    for made, name in ((authority, "Update authority"), (signer, "Update signer")):
        key = made.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 4096
        assert made.subject.rfc4514_string() == f"CN={name},O=Ex & Co"
    signer.verify_directly_issued_by(authority)
    said = capsys.readouterr()
    assert "RSA-4096" in said.err
    assert "not encrypted" in said.err
    assert "keyring.pem" in said.out


@pytest.mark.usefixtures("short_keys")
def test_a_second_authority_in_its_place_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "init", str(tmp_path), "--unencrypted"]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["keys", "init", str(tmp_path), "--unencrypted"]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "never overwritten" in capsys.readouterr().err


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct horse\nand a second line\n")
    return path


@pytest.mark.usefixtures("short_keys")
def test_encrypted_keys_sign_with_their_passphrase_alone(
    tmp_path: Path, image: Path, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    assert main(["keys", "init", str(keys), "--passphrase-file", str(secret)]) == 0
    for key in keys.glob("*.key.pem"):
        assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    bundle = [
        *("bundle", str(image), "--output", str(tmp_path / "b.raucb"), "--keys", str(keys)),
        *("--compatible", "c", "--version", "1", "--passphrase-file", str(secret)),
    ]
    assert main(bundle) == 0
    secret.write_text("wrong horse\n")
    assert main([*bundle, "--overwrite"]) == 2
    assert f"The passphrase does not open {keys}/signer.key.pem" in capsys.readouterr().err


@pytest.mark.usefixtures("short_keys")
def test_another_signer(tmp_path: Path, secret: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys"
    assert (
        main(["keys", "init", str(keys), "--organisation", "O", "--passphrase-file", str(secret)])
        == 0
    )
    times = ["--not-before", "2020-01-01", "--not-after", "2020-02-01T12:00:00+02:00"]
    signer = ["keys", "signer", str(keys), "--passphrase-file", str(secret)]
    assert main([*signer, "--name", "old", "--common-name", "Night build", *times]) == 0
    made = certificate(keys / "old.cert.pem")
    assert made.subject.rfc4514_string() == "CN=Night build,O=O"
    assert made.not_valid_before_utc.isoformat() == "2020-01-01T00:00:00+00:00"
    assert made.not_valid_after_utc.isoformat() == "2020-02-01T10:00:00+00:00"
    made.verify_directly_issued_by(certificate(keys / "authority.cert.pem"))
    assert (keys / "old.key.pem").read_bytes().startswith(b"-----BEGIN ENCRYPTED")
    assert main([*signer, "--name", "old"]) == 2
    assert main([*signer, "--name", "late", "--not-after", "2999-01-01"]) == 2
    assert "outlive" in capsys.readouterr().err
    assert not (keys / "late.key.pem").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("", "holds no passphrase"), ("\nsecond line", "holds no passphrase"), ("short", "5 bytes")],
)
def test_a_poor_passphrase_is_refused_before_keys_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, complaint: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(content)
    assert main(["keys", "init", str(tmp_path / "k"), "--passphrase-file", str(secret)]) == 2
    assert complaint in capsys.readouterr().err
    assert not list((tmp_path / "k").iterdir())


def test_without_a_terminal_the_option_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "keys", "init", str(tmp_path / "k")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--passphrase-file FILE" in done.stderr


def at_a_terminal(arguments: list[str], typed: list[str]) -> tuple[int, str]:
    """Run the command with a terminal of its own and answer its questions one after the other."""
    screen = io.StringIO()
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        encoding="utf-8",
        timeout=60,
    )
    child.logfile_read = screen
    for word in typed:
        child.expect(": $")
        # Typed earlier, it would be echoed: by the terminal, not by the program.
        child.waitnoecho()
        child.sendline(word)
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus), screen.getvalue()


def test_a_new_passphrase_is_asked_for_twice_and_never_shown(tmp_path: Path) -> None:
    status, screen = at_a_terminal(
        ["keys", "init", str(tmp_path / "k")], ["correct horse", "correct house"]
    )
    assert status == 2
    assert "The two passphrases differ: nothing was made." in screen
    assert "horse" not in screen
    assert not list((tmp_path / "k").iterdir())


@pytest.mark.usefixtures("short_keys")
def test_a_typed_passphrase_opens_what_a_file_closed(
    tmp_path: Path, image: Path, secret: Path
) -> None:
    keys = tmp_path / "keys"
    assert main(["keys", "init", str(keys), "--passphrase-file", str(secret)]) == 0
    status, screen = at_a_terminal(
        [
            *("bundle", str(image), "--output", str(tmp_path / "b.raucb"), "--keys", str(keys)),
            *("--compatible", "c", "--version", "1"),
        ],
        ["correct horse"],
    )
    assert status == 0, screen
    assert "Passphrase for the key 'signer': " in screen
    assert "100 %" in screen
    assert "horse" not in screen


@pytest.mark.parametrize(
    ("family", "status"), [(OperatorError, 2), (WorkstationError, 3), (BundleError, 4)]
)
def test_the_help_tells_the_exit_codes(family: type[ReleaseError], status: int) -> None:
    assert family.exit_code == status
    assert f"  {status}  the " in parser().format_help()


def test_a_bad_moment_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["keys", "signer", "d", "--name", "n", "--not-after", "tomorrow"])
    assert "tomorrow" in capsys.readouterr().err
