"""Every command but serve: what it prints, what it refuses, with and without a server."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flipside_server.cli import main
from flipside_server.control_socket import control_application
from flipside_server.directory import short_path
from flipside_server.errors import OperatorError
from flipside_server.listener import listening, unix_listener
from flipside_server.orders import Subject
from flipside_server.premises import occupied
from flipside_server.table import aligned, printable
from flipside_server.target import Target
from models.ddi_device import House
from models.server_process import command, environment

CONTENT = b"firmware of some size " * 200_000


@dataclass
class Shell:
    """Runs commands on one data directory, in this process."""

    data: Path
    firmware: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--data", str(self.data)])
        return code, *self.capture.readouterr()

    def printed(self, *arguments: str | Path) -> str:
        code, output, complaint = self.run(*arguments)
        assert (code, complaint) == (0, "")
        return output.strip()

    def shown(self, subject: str) -> Any:
        return json.loads(self.printed("show", subject, "--json"))[subject]

    def add_artifact(self, version: str = "1.0", *more: str) -> str:
        named = ["--name", "os", "--version", version]
        return self.printed("artifact", "add", self.firmware, *named, *more)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    firmware = tmp_path / "fw.raucb"
    firmware.write_bytes(CONTENT)
    return Shell(tmp_path / "data", firmware, capsys)


@contextmanager
def taking_orders(data: Path) -> Iterator[None]:
    """What a serving process does for commands; a lock holds against ourselves as well."""
    with occupied(data, create=True) as premises:
        assert premises is not None
        with short_path(premises.directory.socket) as path:
            server = unix_listener(control_application(premises.control), path)
            with listening(server):
                yield


def test_what_is_added_is_shown(shell: Shell) -> None:
    assert re.fullmatch("[0-9a-f]{32}", shell.printed("target", "add", "pi-1"))
    told = shell.add_artifact("1.0", "--metadata", "flipside.manifest-hash=" + "ab" * 32)
    (release,) = shell.shown("artifacts")
    (file,) = release["artifacts"]
    assert told == f"os:1.0 is set 1, sha256 {file['sha256']}"
    assert (release["name"], release["version"]) == ("os", "1.0")
    assert (file["filename"], file["size"]) == ("fw.raucb", len(CONTENT))
    assert file["metadata"] == {"flipside.manifest-hash": "ab" * 32}
    assert shell.printed("assign", "pi-1", "1") == "1"
    (action,) = shell.shown("actions")
    assert {key: action[key] for key in ["id", "target", "name", "version", "state"]} == {
        "id": 1,
        "target": "pi-1",
        "name": "os",
        "version": "1.0",
        "state": "open",
    }
    assert action["statuses"][0]["messages"] == ["Update Server: os:1.0 was assigned."]
    shell.printed("cancel", "1")
    assert shell.shown("actions")[0]["state"] == "canceling"
    (target,) = shell.shown("targets")
    assert (target["target"], target["state"], target["open_actions"]) == ("pi-1", "pending", [1])


def test_assigning_twice_names_the_action_under_way(shell: Shell) -> None:
    shell.printed("target", "add", "pi-1")
    shell.add_artifact()
    assert shell.printed("assign", "pi-1", "os:1.0") == "1"
    code, output, remark = shell.run("assign", "pi-1", "os:1.0")
    assert (code, output) == (0, "1\n")
    assert "under way already" in remark


@pytest.mark.parametrize("served", [False, True])
def test_commands_do_the_same_with_and_without_a_server(shell: Shell, served: bool) -> None:
    with taking_orders(shell.data) if served else nullcontext():
        shell.printed("target", "add", "pi-1")
        shell.add_artifact()
        assert shell.printed("assign", "pi-1", "os:1.0") == "1"
        shell.printed("cancel", "1")
        version = ["--name", "os", "--version", "1.0"]
        for arguments, complaint in [
            (["target", "add", "pi-1"], "there is a target pi-1 already: choose another name"),
            (["target", "add", "../x"], "the target name '../x' cannot be used: give 1 to"),
            (["assign", "nobody", "os:1.0"], "there is no target nobody: see 'show targets'"),
            (["assign", "pi-1", "none:1"], "there is no distribution set none:1: see"),
            (["cancel", "1"], "action 1 is being canceled; the device has yet to answer"),
            (["cancel", "9"], "there is no action 9: see 'show actions'"),
            (["artifact", "add", str(shell.firmware), *version], "os:1.0 exists already"),
        ]:
            code, output, told = shell.run(*arguments)
            assert (code, output, told.count("\n")) == (3, "", 1)
            assert told.startswith(f"flipside-server: {complaint}")
        assert [one["state"] for one in shell.shown("actions")] == ["canceling"]
        assert len(shell.shown("artifacts")) == 1


def test_a_refused_file_is_never_in_memory(shell: Shell) -> None:
    shell.add_artifact("1.0")
    with shell.firmware.open("wb") as file:
        file.truncate(64 << 20)
    named = ["--name", "os", "--version", "1.0"]
    with taking_orders(shell.data):
        tracemalloc.start()
        code, _, told = shell.run("artifact", "add", shell.firmware, *named)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (code, "exists already" in told) == (3, True)
    assert peak < 16 << 20


def test_one_name_is_given_once_to_many_who_ask(house: House) -> None:
    start, added = threading.Barrier(16), []

    def add() -> None:
        start.wait()
        with suppress(OperatorError):
            added.append(house.device("pi-1"))

    threads = [threading.Thread(target=add) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(added) == 1
    assert house.store.count(Target, "controller_id", "pi-1") == 1
    assert added[0].get().status == 200


def test_a_token_may_be_given_by_file_or_stdin(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("given-by-a-file-0\n")
    assert shell.printed("target", "add", "pi-1", "--token-file", file) == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO("given-by-stdin-00\nmore\n"))
    assert shell.printed("target", "add", "pi-2", "--token-file", "-") == ""
    assert len(shell.shown("targets")) == 2
    assert b"given-by" not in (shell.data / "records.log").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    code, _, told = shell.run("target", "add", "pi-3", "--token-file", "-")
    assert code == 3
    assert "short" not in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["FILE", "--name", "o/s"], "the name 'o/s'"),
        (["FILE", "--version", "1:2"], "the version '1:2'"),
        (["FILE", "--filename", "a b"], "the file name 'a b'"),
        (["FILE", "--metadata", "key"], "no KEY=VALUE"),
        (["FILE", "--metadata", "k y=v"], "the metadata 'k y'"),
        (["FILE", "--metadata", "flipside.manifest-hash=ABC"], "64 lower-case hex digits"),
        (["/none"], "cannot read /none: No such file or directory"),
        (["/dev/null"], "is not a regular file"),
        (["EMPTY"], "the file is empty"),
    ],
)
def test_artifacts_that_cannot_be_added(
    shell: Shell, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    (tmp_path / "empty").touch()
    places = {"FILE": str(shell.firmware), "EMPTY": str(tmp_path / "empty")}
    given = [places.get(one, one) for one in arguments]
    named = [] if "--name" in given else ["--name", "os"]
    named += [] if "--version" in given else ["--version", "1.0"]
    code, output, told = shell.run("artifact", "add", *given, *named)
    assert (code, output, told.count("\n")) == (3, "", 1)
    assert complaint in told
    if shell.data.exists():
        assert list((shell.data / "artifacts").rglob("*")) == []
        assert shell.shown("artifacts") == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--listen", "0.0.0.0:0"], "without TLS everybody there can read"),
        (["--listen", "8080"], "is no address"),
        (["--poll", "36:00:00"], "polling interval '36:00:00'"),
        (["--poll", "00:00:00"], "polling interval '00:00:00'"),
        (["--poll", "PT36H"], "polling interval 'PT36H'"),
        (["--tls-cert", "cert.pem"], "go together"),
        (["--tls-cert", "/none", "--tls-key", "/none"], "cannot use the certificate"),
    ],
)
def test_ways_to_serve_that_are_refused(shell: Shell, options: list[str], complaint: str) -> None:
    code, _, told = shell.run("serve", *options)
    assert code == 3
    assert complaint in told
    assert not shell.data.exists()


def test_a_directory_is_not_begun_by_looking_at_it(shell: Shell) -> None:
    for arguments in [["show"], ["assign", "a", "b:1"], ["cancel", "1"]]:
        code, _, told = shell.run(*arguments)
        assert (code, "there is no data directory" in told) == (3, True)
    assert not shell.data.exists()


def test_a_directory_that_cannot_be_made_is_told(shell: Shell, tmp_path: Path) -> None:
    shell.data = tmp_path / "fw.raucb" / "below"
    code, _, told = shell.run("target", "add", "pi-1")
    assert (code, "Not a directory" in told) == (4, True)


def test_a_damaged_directory_is_told(shell: Shell) -> None:
    shell.printed("target", "add", "pi-1")
    (shell.data / "records.log").write_text("not ours\n")
    code, _, told = shell.run("show")
    assert (code, "is not a store" in told) == (4, True)


def test_a_directory_held_by_someone_silent_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flipside_server.premises._PATIENCE", 0.0)
    with occupied(shell.data, create=True):
        code, _, told = shell.run("show")
    assert code == 5
    assert f"in use by process {os.getpid()}, which does not answer" in told


def test_a_server_that_breaks_off_is_told(shell: Shell) -> None:
    shell.printed("target", "add", "pi-1")

    def breaking(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "100")])
        yield b"{"
        raise ConnectionResetError("as if the server died")

    with (
        occupied(shell.data, create=False) as premises,
        short_path(shell.data / "control.sock") as path,
        listening(unix_listener(breaking, path)),
    ):
        assert premises is not None
        code, _, told = shell.run("show")
    assert code == 4
    assert "broke off" in told


def test_a_command_of_another_version_is_refused(house: House) -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "wsgi.input": io.BytesIO(b'{"order": "Launch", "with": {}}\n'),
        "wsgi.errors": sys.stderr,
    }
    answer = b"".join(control_application(house.control)(environ, lambda *_: None))
    assert "of the same version" in json.loads(answer)["error"]


def test_a_table_for_people(shell: Shell) -> None:
    shell.printed("target", "add", "pi-1")
    assert shell.printed("show", "artifacts") == "no artifacts"
    shell.add_artifact()
    shell.printed("assign", "pi-1", "os:1.0")
    heads, line = shell.printed("show", "actions").splitlines()
    assert heads.split() == ["ID", "TARGET", "SET", "STATE", "CREATED", "LAST", "SAID"]
    assert re.match(r"1 +pi-1 +os:1\.0 +open +\d{4}-", line)
    everything = shell.printed("show")
    for subject in Subject:
        assert f"{subject}\n" in everything


def test_devices_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\n\r\tc\u202e\ud800") == "a?[31mb???c??"
    assert aligned([("a", "b"), ("long", "c\n")]) == "a     b\nlong  c?"


def test_progress_is_shown_on_a_terminal_alone(shell: Shell) -> None:
    ours, theirs = os.openpty()
    named = ["--name", "os", "--version", "1"]
    subprocess.run(
        command("artifact", "add", shell.firmware, *named, "--data", shell.data),
        stderr=theirs,
        stdout=subprocess.PIPE,
        check=True,
        env=environment(),
    )
    os.close(theirs)
    told = os.read(ours, 65536).decode()
    os.close(ours)
    assert told.endswith("100 %  4 of 4 MiB\r\n")
    assert shell.add_artifact("2").startswith("os:2 is set 2")


@pytest.mark.parametrize("arguments", [[], ["target"], ["show", "moons"], ["cancel", "x"]])
def test_a_command_line_that_cannot_be_understood(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: flipside-server" in capsys.readouterr().err


def test_the_exit_codes_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {code}  " in told for code in [0, 2, 3, 4, 5])
