"""The configuration: what it says, what it complains of, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from flipside_agent.checks import HealthPolicy, Weight
from flipside_agent.config import Config, SpoolPolicy, load
from flipside_agent.ddi import PollLimits
from flipside_agent.errors import OperatorError

POLICY = '[server]\nurl = "https://updates.example:8443/ota/"\n'
DEVICE = '[device]\ncontroller_id = "board-1"\ntarget_token = "s3cret"\n'


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> tuple[Path, Path]:
    policy, device = tmp_path / "agent.toml", tmp_path / "device.toml"
    policy.write_text(POLICY)
    return policy, device


def _load(files: tuple[Path, Path], policy: str = "", device: str | None = None) -> Config:
    files[0].write_text(policy or POLICY)
    if device is not None:
        files[1].write_text(device)
        files[1].chmod(0o600)
    return load(*files)


def test_a_url_is_enough(files: tuple[Path, Path]) -> None:
    config = _load(files)
    assert str(config.server.address.site) == "https://updates.example:8443"
    assert config.server.address.target == "/ota"
    assert config.server.tenant == "DEFAULT"
    assert config.server.poll == PollLimits(shortest=5, longest=86400, unsaid=300)
    assert config.health == HealthPolicy()
    assert config.spool == SpoolPolicy(Path("/data/flipside/spool"), reserve=64 << 20)
    assert config.hold == 280
    assert config.device.controller_id == ""
    assert config.device.authorization == ""
    assert config.warnings == ()


def test_everything_can_be_said(files: tuple[Path, Path]) -> None:
    policy = """
[server]
url = "http://10.0.2.2:8080"
tenant = "acme"
ca = "/etc/flipside/ca.pem"
client_certificate = "/data/flipside/client.pem"
client_key = "/data/flipside/client.key"
poll_shortest = 1
poll_longest = 60
poll_unsaid = 2.5
[device]
controller_id = "board:7"
gateway_token = "g"
[health]
units = ["rauc.service", "getty@tty1.service"]
no_failed_units = true
directory = "/etc/health"
deadline = 100
retries = 0
pause = 0.5
server = "off"
[spool]
directory = "/data/spool"
reserve_mib = 1
[origin]
hold = 20.5
"""
    config = _load(files, policy)
    assert config.server.tenant == "acme"
    assert config.server.ca == Path("/etc/flipside/ca.pem")
    assert config.server.client_certificate == Path("/data/flipside/client.pem")
    assert config.server.client_key == Path("/data/flipside/client.key")
    assert config.server.poll == PollLimits(1, 60, 2.5)
    assert config.device.authorization == "GatewayToken g"
    assert config.health == HealthPolicy(
        units=("rauc.service", "getty@tty1.service"),
        no_failed_units=True,
        directory="/etc/health",
        deadline=100,
        retries=0,
        pause=0.5,
        server=None,
    )
    assert config.spool == SpoolPolicy(Path("/data/spool"), 1 << 20)
    assert config.hold == 20.5


def test_the_devices_file_lies_over_the_images(files: tuple[Path, Path]) -> None:
    config = _load(files, device=DEVICE + '[server]\nurl = "http://10.0.2.2:8080"\n')
    assert str(config.server.address.site) == "http://10.0.2.2:8080"
    assert config.device.authorization == "TargetToken s3cret"
    assert config.server.tenant == "DEFAULT"


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('[server]\nurl = "ftp://x"', "server.url is 'ftp://x', expected an http(s) URL"),
        ('[server]\nurl = "http://x/?q"', "server.url is 'http://x/?q', expected an http(s) URL"),
        ("[server]\nurl = 7", "server.url is 7, expected an http(s) URL"),
        ("[server]", "server.url is missing, expected an http(s) URL"),
        ("[spool]\n", "server.url is missing, expected an http(s) URL"),
        (POLICY + 'tenant = "a/b"', "server.tenant is 'a/b', expected a name"),
        (POLICY + 'ca = "ca.pem"', "server.ca is 'ca.pem', expected an absolute path"),
        (POLICY + 'client_key = "/k"', "server.client_key is '/k', expected server.client_cert"),
        (POLICY + "poll_shortest = 0", "server.poll_shortest is 0, expected seconds from 1 to 864"),
        (POLICY + "poll_unsaid = true", "server.poll_unsaid is True, expected seconds"),
        (POLICY + 'poll_unsaid = "5"', "server.poll_unsaid is '5', expected seconds"),
        (POLICY + "poll_longest = nan", "server.poll_longest is nan, expected seconds"),
        (POLICY + '[device]\ncontroller_id = "../x"', "device.controller_id is '../x', expected"),
        (POLICY + '[health]\nserver = "maybe"', "health.server is 'maybe', expected wanted, requ"),
        (POLICY + '[health]\nunits = "x"', "health.units is 'x', expected a list of names of unit"),
        (POLICY + '[health]\nunits = ["x"]', "health.units is ['x'], expected a list of names of"),
        (POLICY + "[health]\nunits = [7]", "health.units is [7], expected a list of names of unit"),
        (POLICY + '[health]\ndirectory = ""', "health.directory is '', expected an absolute path"),
        (POLICY + "[health]\nretries = 1.5", "health.retries is 1.5, expected a whole number"),
        (POLICY + "[health]\nno_failed_units = 1", "health.no_failed_units is 1, expected true or"),
        (POLICY + "[origin]\nhold = 300", "origin.hold is 300, expected seconds from 1 to 290"),
        (POLICY + "[spool]\nreserve_mib = -1", "spool.reserve_mib is -1, expected MiB from 0"),
        (POLICY + 'tenat = "x"', "there is no setting server.tenat; did you mean 'tenant'?"),
        (POLICY + "zzz = 1", "there is no setting server.zzz"),
        (POLICY + "[sever]\nx = 1", "there is no section [sever]; did you mean 'server'?"),
        ('url = "http://x"', "url stands outside of any [section]"),
        ("[server\n", "is not valid TOML: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_named_with_its_file(
    files: tuple[Path, Path], policy: str, words: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        _load(files, policy)
    assert words in str(caught.value)
    assert str(files[0]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_devices_file_names_that_one(files: tuple[Path, Path]) -> None:
    with pytest.raises(OperatorError, match=r"device\.toml: server\.url is 'x', expected"):
        _load(files, device='[server]\nurl = "x"')


@pytest.mark.parametrize("token", ["two words", "x" * 300, "new\\nline", "ümlaut"])
def test_a_bad_token_is_named_but_not_shown(files: tuple[Path, Path], token: str) -> None:
    with pytest.raises(OperatorError, match=r"device\.target_token is not a token") as caught:
        _load(files, device=f'[device]\ntarget_token = "{token}"')
    assert token[:9] not in str(caught.value)


def test_a_device_has_one_token(files: tuple[Path, Path]) -> None:
    with pytest.raises(OperatorError, match="a device has one of them"):
        _load(files, POLICY + '[device]\ngateway_token = "g"', DEVICE)


def test_tokens_are_not_in_a_repr(files: tuple[Path, Path]) -> None:
    assert "s3cret" not in repr(_load(files, device=DEVICE))


def test_a_newer_agents_settings_in_the_devices_file_are_only_warned_of(
    files: tuple[Path, Path],
) -> None:
    config = _load(files, device=DEVICE + "tokn = 1\n[mqtt]\nbroker = 'x'\n")
    assert config.device.authorization == "TargetToken s3cret"
    assert config.warnings == (
        f"{files[1]}: there is no setting device.tokn",
        f"{files[1]}: there is no section [mqtt]",
    )


def test_a_token_that_everybody_can_read_is_warned_of(files: tuple[Path, Path]) -> None:
    files[1].write_text(DEVICE)
    files[1].chmod(0o644)
    (warning,) = load(*files).warnings
    assert warning == f"{files[1]} holds a token and can be read by everybody: chmod o= {files[1]}"
    files[1].chmod(0o640)
    assert load(*files).warnings == ()


def test_a_token_in_a_comment_is_nobodys_secret(files: tuple[Path, Path]) -> None:
    files[1].write_text('# [device]\n# target_token = "what the server gave it"\n')
    files[1].chmod(0o644)
    assert load(*files).warnings == ()


def test_no_policy_is_the_operators_business(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"agent\.toml cannot be read: No such file"):
        load(tmp_path / "agent.toml", tmp_path / "device.toml")


def test_a_devices_file_that_cannot_be_looked_at_is_not_overlooked(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(OperatorError, match=r"device\.toml cannot be read: No such file"):
        load(*files)


def test_bytes_that_are_no_text(files: tuple[Path, Path]) -> None:
    files[0].write_bytes(b"\xff\xfe")
    with pytest.raises(OperatorError, match="is not valid TOML"):
        load(*files)


def test_required_is_a_weight(files: tuple[Path, Path]) -> None:
    assert _load(files, POLICY + '[health]\nserver = "required"').health.server is Weight.REQUIRED
