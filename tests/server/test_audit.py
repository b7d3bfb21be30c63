"""The audit log: what it tells, what it proves, and that no cut makes it forget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flipside_server import scribe as scribes
from flipside_server.action import Action, State
from flipside_server.actor import acting
from flipside_server.audit import Chain, Checkpoint, contradiction, followed, resumed, told
from flipside_server.audit_log import AuditLog
from flipside_server.audited_store import AuditedStore
from flipside_server.errors import OperatorError
from flipside_server.note import Note
from flipside_server.scribe import Scribe
from flipside_server.signing import is_signed, make_key, signed
from flipside_server.target import Target
from flipside_server.tiny_store import TinyStore
from models.recorded_disk import RecordedDisk, laid_out
from models.server_process import run, serving

FINISHED = {"status": {"execution": "closed", "result": {"finished": "success"}}}
NOTES = [
    Note(number, 1000 + number, "operator me", "Assign", {"n": number}) for number in (1, 2, 4)
]


def log_of(notes: list[Note]) -> tuple[list[bytes], Chain]:
    chain, lines = Chain(), []
    for note in notes:
        line, chain = told(chain, note)
        lines.append(line)
    return lines, chain


def verdict(lines: list[bytes]) -> str:
    chain = Chain()
    for number, line in enumerate(lines, start=1):
        match followed(chain, line):
            case str(fault):
                return f"line {number} {fault}"
            case Chain() as chain:
                pass
    return "sound"


def test_a_log_follows_from_its_first_line_to_its_last() -> None:
    lines, chain = log_of(NOTES)
    assert verdict(lines) == "sound"
    assert resumed(lines[-1], 3) == chain
    assert (chain.number, chain.note) == (3, 4)
    assert json.loads(lines[1])["details"] == {"n": 2}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda a, b, c: [a, b.replace(b"me", b"he"), c], "line 3 does not follow"),
        (lambda a, b, c: [a, c], "line 2 has number 3, expected 2"),
        (lambda a, b, c: [b, c], "line 1 has number 2, expected 1"),
        (lambda a, b, c: [a, c, b], "line 2 has number 3"),
        (lambda a, b, c: [a, a, b, c], "line 2 has number 1, expected 2"),
        (lambda a, b, c: [a, b"{}\n", b, c], "line 2 is no line of an audit log"),
        (lambda a, b, c: [a, b[:-9], c], "line 2 is no line"),
        (lambda a, b, c: [a, b"[" * 99999 + b"\n", c], "line 2 is no line"),
        (lambda a, b, c: [a, told(Chain(1), NOTES[1])[0], c], "line 2 does not follow"),
    ],
)
def test_whatever_is_done_to_a_line_is_found(
    harm: Callable[[bytes, bytes, bytes], list[bytes]], said: str
) -> None:
    lines, _ = log_of(NOTES)
    assert verdict(harm(*lines)).startswith(said)


def test_a_checkpoint_finds_what_a_chain_cannot() -> None:
    _, chain = log_of(NOTES)
    checkpoint = Checkpoint(chain.number, chain.head, 5000)
    assert contradiction(checkpoint, {3: chain.head}, 3) == ""
    assert "its end was cut off" in contradiction(checkpoint, {}, 2)
    # All lines made anew, each following from the one before it.
    _, forged = log_of([*NOTES[:2], Note(4, 1004, "operator him", "Assign", {"n": 4})])
    assert "is not the one" in contradiction(checkpoint, {3: forged.head}, 3)


def test_only_the_key_signs(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    one = signed(Checkpoint(3, "a" * 64, 5000), tmp_path / "key")
    assert is_signed(one)
    for other in [
        Checkpoint(4, one.head, one.at, one.key, one.signature),
        Checkpoint(one.number, one.head, one.at + 1, one.key, one.signature),
        Checkpoint(one.number, one.head, one.at, "00" * 32, one.signature),
        Checkpoint(one.number, one.head, one.at, one.key, "no hex"),
    ]:
        assert not is_signed(other)
    with pytest.raises(OperatorError, match="cannot make the key"):
        make_key(tmp_path / "key")


class Books:
    """A store with an audit log, opened as the server does."""

    def __init__(self, path: Path) -> None:
        self.inner = TinyStore.open(path / "records.log")
        self.log = AuditLog.open(path / "audit.log", self.inner.first(Note))
        self.scribe = Scribe(self.inner, self.log)
        self.store = AuditedStore(self.inner, lambda: 77, self.scribe.wake)

    def close(self) -> None:
        self.scribe.wake()
        self.scribe.close()
        self.log.close()
        self.inner.close()


def lines_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "audit.log").read_bytes().splitlines()]


def test_every_change_of_an_actions_state_is_told(tmp_path: Path) -> None:
    books = Books(tmp_path)
    store = books.store
    with acting("operator me"), store.ordered("Assign", {"controller_id": "pi-1"}):
        store.save(Target(1, "pi-1", "t"))
        store.save(Action(1, 1, 1))
    store.save(Action(1, 1, 1, retrieved=True))
    store.save(Action(1, 1, 1, State.FINISHED))
    with acting("server"):
        store.save(Action(1, 1, 1, State.ERROR))
    with pytest.raises(OperatorError), acting("operator me"), store.ordered("Cancel", {}):
        raise OperatorError("there is no action 9")
    store.save(Target(2, "pi-2", "t"))
    books.close()
    assert [(one["who"], one["what"], one["details"].get("to")) for one in lines_in(tmp_path)] == [
        ("operator me", "Assign", None),
        ("operator me", "action", "open"),
        ("device pi-1", "action", "finished"),
        ("server", "action", "error"),
        ("operator me", "Cancel", None),
        ("device pi-2", "registration", None),
    ]
    assert lines_in(tmp_path)[4]["details"]["outcome"] == "refused: there is no action 9"
    assert verdict((tmp_path / "audit.log").read_bytes().splitlines(keepends=True)) == "sound"


def test_the_audit_log_costs_no_flush_beside_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribes, "_PAUSE", 3600.0)
    books = Books(tmp_path)
    books.store.save(Target(1, "pi-1", "t"))
    flushes: list[int] = []
    monkeypatch.setattr("os.fdatasync", flushes.append)
    for number in range(1, 51):
        books.store.save(Action(number, 1, 1))
    assert len(flushes) == 50
    books.close()
    assert len(lines_in(tmp_path)) == 51
    assert len(flushes) <= 54


def test_no_cut_makes_the_audit_log_forget_or_tell_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scribes, "_PAUSE", 0.002)
    data = tmp_path / "data"
    data.mkdir()
    disk = RecordedDisk(data)
    with disk.recording():
        books = Books(data)
        books.store.save(Target(1, "pi-1", "t"))
        for number in range(1, 16):
            books.store.save(Action(number, 1, 1))
            disk.say(str(number))
        books.close()
    monkeypatch.setattr("os.fsync", lambda _: None)
    monkeypatch.setattr("os.fdatasync", lambda _: None)
    for promised, tree, where in list(disk.cuts(7, 2))[::9]:
        books = Books(laid_out(tree, tmp_path / "cut"))
        books.close()
        content = (tmp_path / "cut" / "audit.log").read_bytes()
        assert verdict(content.splitlines(keepends=True)) == "sound", where
        known = [one["details"]["action"] for one in lines_in(tmp_path / "cut")[1:]]
        assert known == sorted(set(known)), where
        assert set(map(int, promised)) <= set(known), where


def done(*arguments: str | Path) -> str:
    finished = run(*arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.strip()


def refused(*arguments: str | Path) -> str:
    finished = run(*arguments)
    assert "Traceback" not in finished.stderr
    assert finished.returncode == 4
    return finished.stderr.strip()


def test_the_whole_story_from_the_command_line(tmp_path: Path) -> None:
    data, key, elsewhere = tmp_path / "data", tmp_path / "key", tmp_path / "elsewhere"
    (tmp_path / "fw.raucb").write_bytes(b"firmware")
    with serving(data) as server:
        token = done("target", "add", "pi-1", "--data", data)
        done(
            "artifact",
            "add",
            tmp_path / "fw.raucb",
            "--name",
            "os",
            "--version",
            "1",
            "--data",
            data,
        )
        done("assign", "pi-1", "os:1", "--data", data)
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED)[0] == 200
        run("cancel", "1", "--data", data)
    log = data / "audit.log"
    lines = lines_in(data)
    assert [one["what"] for one in lines] == [
        "AddTarget", "AddArtifact", "Assign", "action", "action", "Cancel",
    ]  # fmt: skip
    assert lines[4]["who"] == "device pi-1"
    assert lines[2]["who"].startswith("operator ")
    assert len(lines[1]["details"]["sha256"][0]) == 64
    assert token not in log.read_text()
    verify = ("audit", "verify", "--data", data)
    assert "nobody can tell" in done(*verify)
    public = done("audit", "key", key).split()[-1]
    done("audit", "checkpoint", "--data", data, "--key", key, "--checkpoints", elsewhere)
    proof = (*verify, "--checkpoints", elsewhere, "--public", public)
    assert "1 checkpoints hold, the last for line 6" in done(*proof)
    done("target", "add", "pi-2", "--data", data)
    assert "7 lines" in done(*proof)

    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"pi-1"', b'"pi-9"', 1))
    assert "does not follow from the line before it" in refused(*proof)
    said = refused("audit", "checkpoint", "--data", data, "--key", key)
    assert f"line 2 of {log}" in said
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:5]))
    assert "its end was cut off" in refused(*proof)
    log.write_bytes(whole[:-10])
    assert "a last line is being written" in done(*proof)
    log.write_bytes(whole)
    other = done("audit", "key", tmp_path / "other").split()[-1]
    assert "is signed by another key" in refused(
        *verify, "--checkpoints", elsewhere, "--public", other
    )
    elsewhere.write_bytes(elsewhere.read_bytes().replace(b'"number": 6', b'"number": 5'))
    assert "it was changed" in refused(*proof)
