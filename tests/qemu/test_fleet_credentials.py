"""How model devices come by their names and tokens, and what is said if they do not."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from flipside_qemu import fleet_credentials as credentials
from flipside_qemu.errors import HarnessError
from flipside_qemu.fleet_cli import main
from models.web import Web

ECHO = f"{sys.executable} -c 'import sys; print(\"token-of-\" + sys.argv[1])' {{}}"


def test_names_sort() -> None:
    found = credentials.names("pi-", 12)
    assert (found[0], found[-1], len(found)) == ("pi-00000", "pi-00011", 12)
    assert sorted(found) == found
    assert len({len(name) for name in credentials.names("pi-", 100_001)}) == 1


def test_a_file_of_tokens_and_back(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("fleet-1  abc\n\nother-2\tdef\nfleet-3 ghi\n")
    found = credentials.tokens(file, "", None)
    assert list(found.values()) == ["TargetToken abc", "TargetToken def", "TargetToken ghi"]
    assert list(credentials.tokens(file, "fleet-", None)) == ["fleet-1", "fleet-3"]
    assert list(credentials.tokens(file, "", 2)) == ["fleet-1", "other-2"]
    file.write_text(credentials.written(found))
    assert credentials.tokens(file, "", None) == found


@pytest.mark.parametrize(
    ("text", "count", "said"),
    [
        ("fleet-1 abc\nfleet-2\n", None, "line 2: expected a device's name and its token"),
        ("fleet-1 abc def\n", None, "line 1: expected"),
        ("", None, "has 0 devices"),
        ("other-1 abc\n", None, "has 0 devices that begin with 'fleet-', expected at least one"),
        ("fleet-1 abc\n", 2, "has 1 devices that begin with 'fleet-', expected 2"),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, text: str, count: int | None, said: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(HarnessError, match=said) as caught:
        credentials.tokens(file, "fleet-", count)
    assert "abc" not in str(caught.value)


def test_files_that_are_not_there_or_empty_are_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"cannot read the tokens in .*nowhere"):
        credentials.tokens(tmp_path / "nowhere", "", None)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(HarnessError, match="expected a gateway token on its first line"):
        credentials.gateway(tmp_path / "empty", ["one"])


def test_one_gateway_token_for_all(tmp_path: Path) -> None:
    file = tmp_path / "gateway"
    file.write_text("secret\nignored\n")
    found = credentials.gateway(file, ["one", "two"])
    assert found == {"one": "GatewayToken secret", "two": "GatewayToken secret"}


def test_a_command_gives_each_device_its_token() -> None:
    found = asyncio.run(credentials.provisioned(ECHO, ["one", "two"]))
    assert found == {"one": "TargetToken token-of-one", "two": "TargetToken token-of-two"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make-token", "has no {} for the device's name"),
        ("no-such-program {}", "cannot run no-such-program"),
        (f"{sys.executable} -c 'raise SystemExit(\"no room\")' {{}}", "code 1, .*no room"),
        (f"{sys.executable} -c '' {{}}", "code 0, expected 0 and a token on one line"),
    ],
)
def test_a_command_that_will_not_do(command: str, said: str) -> None:
    with pytest.raises(HarnessError, match=said):
        asyncio.run(credentials.provisioned(command, ["one"]))


def test_provisioned_tokens_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    web, file = Web(), tmp_path / "tokens"
    web.say("GET", "/DEFAULT/controller/v1/fleet-00000", {})
    web.switch_on()
    try:
        keep = ["--provision", ECHO, "--devices", "1", "--save-tokens", str(file)]
        assert main(["--server", web.url, *keep, "--load", "poll", "--requests", "1"]) == 0
    finally:
        web.switch_off()
    assert file.read_text() == "fleet-00000 token-of-fleet-00000\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert web.seen[0].headers["authorization"] == "TargetToken token-of-fleet-00000"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--server", "localhost"], "is no address of a server, expected"),
        (["--server", "http://h", "--save-tokens", "f"], "give both or neither"),
        (["--server", "http://h", "--fail", "0.6", "--sick", "0.5"], "shares of all"),
        (["--server", "https://h", "--ca", "nowhere.pem"], "certificates in nowhere.pem"),
    ],
)
def test_options_that_make_no_sense_together(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ["--fail", "2"],
        ["--link", "fast"],
        ["--link", "0MB/s"],
        ["--devices", "0"],
        ["--ramp", "-1"],
    ],
)
def test_options_that_make_no_sense_at_all(option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--server", "http://h", *option])
    assert caught.value.code == 2
