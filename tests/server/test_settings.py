"""The settings file: what it may say, and one clear sentence for each fault."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from flipside_server.admission import Policy
from flipside_server.cli import main
from flipside_server.credentials import proof
from flipside_server.errors import OperatorError
from flipside_server.proxy import Proxy
from flipside_server.settings import USUAL, Hold, Settings, parsed
from flipside_server.settings_file import settings_in

TOKEN = "gateway-gateway-gateway"
EVERYTHING = f"""
[devices]
poll = "00:01:00"
target_tokens = false
gateway_token = "{TOKEN}"
registration = false
certificate_issuers = ["Fleet CA"]

[proxy]
trusted = ["127.0.0.1", "fd00::/8"]
certificate_header = "X-Controller-Id"

[hold]
always = true
limit = "72:00:00"
version_attributes = ["os_build"]
"""


def read(text: str) -> Settings:
    return parsed(text, "server.toml", lambda name: f"secret-in-{name}")


def test_nothing_said_is_the_usual() -> None:
    assert read("") == USUAL
    assert read("[devices]\n[proxy]\n[hold]\n") == USUAL


def test_everything_said() -> None:
    assert read(EVERYTHING) == Settings(
        "00:01:00",
        Policy(
            target_tokens=False,
            gateway=proof(TOKEN),
            registration=False,
            issuers=("Fleet CA",),
        ),
        Proxy((ip_network("127.0.0.1"), ip_network("fd00::/8")), "X-Controller-Id"),
        Hold(True, 72 * 3600, ("os_build",)),
    )


def test_a_secret_may_lie_in_a_file_of_its_own() -> None:
    assert read('[devices]\ngateway_token_file = "gateway"').admission == Policy(
        gateway=proof("secret-in-gateway")
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[devices", "is not valid TOML"),
        ("[device]", "there is no table [device]: did you mean devices?"),
        ("polls = 1", "there is no table [polls]"),
        ("devices = 1", "there is no table [devices]"),
        ("[hold]\nlimits = 1", "there is no key hold.limits: did you mean limit?"),
        ("[hold]\nxyz = 1", "there is no key hold.xyz: there are always, limit"),
        ('[devices]\npoll = "soon"', "devices.poll is not a text HH:MM:SS"),
        ('[devices]\npoll = "36:00:00"', "devices.poll is not a text HH:MM:SS"),
        ("[devices]\npoll = 60", "devices.poll is not a text HH:MM:SS"),
        ("[devices]\nregistration = 1", "devices.registration is not true or false"),
        ('[devices]\ntarget_tokens = "no"', "devices.target_tokens is not true or false"),
        ("[devices]\ncertificate_issuers = [1]", "is not a list of strings"),
        ('[devices]\ngateway_token = "short"', "devices.gateway_token: the token cannot be used"),
        (
            f'[devices]\ngateway_token = "{TOKEN}"\ngateway_token_file = "x"',
            "give one of them",
        ),
        ('[proxy]\ntrusted = ["proxy.example"]', "proxy.trusted is not a list of addresses"),
        ('[proxy]\ntrusted = ["10.0.0.1/8"]', "proxy.trusted is not a list of addresses"),
        ('[proxy]\ncertificate_header = "X-Cn"', "of use without trusted"),
        (
            '[proxy]\ntrusted = ["::1"]\ncertificate_header = "X_Cn"',
            "the header 'X_Cn' cannot be used",
        ),
        ('[hold]\nlimit = "1 day"', "hold.limit is not a text HH:MM:SS"),
        ("[hold]\nversion_attributes = []", "at least one name"),
    ],
)
def test_each_fault_is_told_in_one_sentence_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(OperatorError) as refused:
        read(text)
    told = str(refused.value)
    assert complaint in told
    assert told.startswith("server.toml")
    assert "\n" not in told
    assert "short" not in told


def test_the_file_in_the_data_directory_counts_if_no_other_is_named(tmp_path: Path) -> None:
    assert settings_in(tmp_path, None) == USUAL
    (tmp_path / "server.toml").write_text('[devices]\npoll = "00:01:00"')
    assert settings_in(tmp_path, None).sleep == "00:01:00"
    other = tmp_path / "other.toml"
    other.write_text('[devices]\npoll = "00:02:00"')
    assert settings_in(tmp_path, other).sleep == "00:02:00"


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"cannot read .*none.toml: No such file"):
        settings_in(tmp_path, tmp_path / "none.toml")
    (tmp_path / "server.toml").write_bytes(b"\xff")
    with pytest.raises(OperatorError, match="is not UTF-8"):
        settings_in(tmp_path, None)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "server.toml"
    file.write_text(EVERYTHING)
    file.chmod(mode)
    with pytest.raises(OperatorError, match="chmod 0600"):
        settings_in(tmp_path, None)
    file.chmod(0o600)
    assert settings_in(tmp_path, None).admission.gateway == proof(TOKEN)


def test_a_secret_file_lies_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('[devices]\ngateway_token_file = "gateway"')
    (tmp_path / "server.toml").chmod(0o644)
    with pytest.raises(OperatorError, match=r"cannot read .*/gateway"):
        settings_in(tmp_path, None)
    secret = tmp_path / "gateway"
    secret.write_text(f"{TOKEN}\nmore\n")
    secret.chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 0600"):
        settings_in(tmp_path, None)
    secret.chmod(0o400)
    assert settings_in(tmp_path, None).admission.gateway == proof(TOKEN)


def test_a_fault_in_the_settings_keeps_the_server_from_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.toml"
    file.write_text("[devices]\npolls = 1")
    data = tmp_path / "data"
    assert main(["serve", "--data", str(data), "--config", str(file)]) == 3
    told = capsys.readouterr().err
    assert told.endswith(f"{file}: there is no key devices.polls: did you mean poll?\n")
    assert not data.exists()
