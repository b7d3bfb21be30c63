"""check, backup and restore: of whole data, of damaged data, and of data in use."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from flipside_server.backup import LEAP
from flipside_server.log_line import framed
from flipside_server.log_storage import LogStorage
from models.server_process import run, serving

FINISHED = {"status": {"execution": "closed", "result": {"finished": "success"}}}
PROCEEDING = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}


def done(*arguments: str | Path) -> str:
    finished = run(*arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout.strip()


def refused(*arguments: str | Path) -> tuple[int, str, str]:
    finished = run(*arguments)
    assert "Traceback" not in finished.stderr
    assert finished.stderr.startswith("flipside-server: ")
    assert finished.stderr.count("\n") == 1
    return finished.returncode, finished.stdout, finished.stderr


def states(data: Path) -> dict[str, str]:
    shown = json.loads(done("show", "actions", "--json", "--data", data))
    return {str(action["target"]): action["state"] for action in shown["actions"]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory with a target, an artifact and an action; the target's token."""
    data = tmp_path_factory.mktemp("sample") / "data"
    file = data.parent / "fw.raucb"
    file.write_bytes(b"firmware" * 1000)
    token = done("target", "add", "pi-1", "--data", data)
    done("artifact", "add", file, "--name", "os", "--version", "1.0", "--data", data)
    done("assign", "pi-1", "os:1.0", "--data", data)
    (data / "server.toml").write_text("# settings\n")
    return data, token


@pytest.fixture
def data(sample: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the sample to do harm to."""
    path = tmp_path / "data"
    done("restore", sample[0], "--data", path)
    (path / "records.index").unlink(missing_ok=True)
    return path


@pytest.fixture
def token(sample: tuple[Path, str]) -> str:
    return sample[1]


def artifact(data: Path) -> Path:
    return next(path for path in (data / "artifacts").rglob("*") if path.is_file())


def test_whole_data_is_said_to_be_whole(data: Path) -> None:
    said = done("check", "--deep", "--data", data)
    assert said.startswith(f"{data}/records.log: 1 actions, 1 distribution sets, 1 software")
    assert said.count("\n") == 0


def test_a_backup_is_a_data_directory_and_the_next_copies_what_is_new(
    data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "backup"
    assert done("backup", copy, "--data", data).endswith("; 1 artifacts copied")
    done("target", "add", "pi-2", "--data", data)
    assert done("backup", copy, "--data", data).endswith("; 0 artifacts copied, 1 known already")
    assert len(json.loads(done("show", "targets", "--json", "--data", copy))["targets"]) == 2
    assert artifact(copy).read_bytes() == artifact(data).read_bytes()
    assert (copy / "server.toml").read_text() == "# settings\n"
    for path in [copy, *copy.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_is_restored_works_and_gives_no_id_again(
    data: Path, tmp_path: Path, token: str
) -> None:
    copy, again = tmp_path / "backup", tmp_path / "again"
    done("backup", copy, "--data", data)
    done("restore", copy, "--data", again)
    with serving(again) as server:
        assert server.ask(token, "/deploymentBase/1/feedback", FINISHED)[0] == 200
        new = int(done("assign", "pi-1", "os:1.0", "--data", again))
    assert new > LEAP


def test_ids_of_a_table_that_lost_all_its_rows_are_not_given_again_either(
    data: Path, tmp_path: Path
) -> None:
    storage = LogStorage.open(data / "records.log")
    storage.append([("gone", 7, {}), ("gone", 7, None)])
    storage.settle(storage.mark())
    storage.compact()
    storage.close()
    done("restore", data, "--data", tmp_path / "again")
    storage = LogStorage.open(tmp_path / "again" / "records.log")
    assert storage.last_id("gone") > LEAP
    storage.close()


def test_nothing_is_restored_over_records(data: Path, tmp_path: Path) -> None:
    code, _, said = refused("restore", data, "--data", data)
    assert (code, "there are records in" in said) == (3, True)
    code, _, said = refused("restore", tmp_path / "nothing", "--data", tmp_path / "new")
    assert (code, "there are no records in" in said) == (3, True)


def test_a_backup_does_not_go_into_the_data(data: Path) -> None:
    for place in [data, data / "backup"]:
        code, _, said = refused("backup", place, "--data", data)
        assert (code, "belongs on another disk" in said) == (3, True)


def test_a_damaged_artifact_is_named_and_the_rest_is_backed_up(data: Path, tmp_path: Path) -> None:
    place = artifact(data)
    place.write_bytes(place.read_bytes()[:-1] + b"?")
    assert refused("check", "--data", data, "--deep")[:2] == (
        4,
        done("check", "--data", data) + "\nthe artifact fw.raucb of os:1.0 has other content than "
        "was kept\n",
    )
    code, out, said = refused("backup", tmp_path / "backup", "--data", data)
    assert (code, "1 targets" in out) == (4, True)
    assert "fw.raucb of os:1.0 has other content" in said
    assert not list((tmp_path / "backup" / "artifacts").rglob("*.new"))
    place.unlink()
    assert "fw.raucb of os:1.0 is missing" in refused("check", "--data", data)[1]


def test_what_is_whole_is_saved_from_damaged_records(
    data: Path, tmp_path: Path, token: str
) -> None:
    log = data / "records.log"
    lines = log.read_bytes().splitlines(keepends=True)
    victim = next(number for number, line in enumerate(lines) if b'"distribution_sets",1' in line)
    lines[victim] = lines[victim].replace(b"os", b"oS", 1)
    before = b"".join(lines)
    log.write_bytes(before)
    code, _, said = refused("show", "--data", data)
    assert (code, "is damaged at byte" in said) == (4, True)
    saved = tmp_path / "saved"
    code, out, said = refused("check", "--data", data, "--save", saved)
    assert code == 4
    assert f"a line of {len(lines[victim])} bytes cannot be read" in out
    assert "action 1 names distribution set 1, which is not there" in out
    assert log.read_bytes() == before
    assert [one["target"] for one in json.loads(done("show", "--json", "--data", saved))["targets"]]
    with serving(saved) as server:
        assert server.ask(token)[0] == 200
    assert refused("backup", tmp_path / "backup", "--data", data)[0] == 4


@pytest.mark.parametrize("harm", ["torn", "under way"])
def test_a_write_that_nobody_was_promised_is_no_damage(data: Path, harm: str) -> None:
    log = data / "records.log"
    whole = log.read_bytes()
    log.write_bytes(whole + (framed([0, ["t", 1, {}]])[:-5] if harm == "torn" else b"12345678"))
    said = done("check", "--data", data)
    assert f"at byte {len(whole)}; nobody was promised it" in said
    assert log.read_bytes().startswith(whole)


def test_records_that_lost_their_end_are_not_taken_for_whole(data: Path) -> None:
    done("target", "add", "pi-9", "--data", data)
    log = data / "records.log"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    code, out, _ = refused("check", "--data", data)
    assert (code, "is damaged at byte" in out) == (4, True)


def test_a_damaged_header_loses_nothing_else(data: Path, tmp_path: Path) -> None:
    log = data / "records.log"
    log.write_bytes(b"?" + log.read_bytes()[1:])
    _, out, _ = refused("check", "--data", data, "--save", tmp_path / "saved")
    assert "is damaged at byte 0" in out
    assert states(tmp_path / "saved") == {"pi-1": "open"}


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"_default": {}}', b"\0" * 4096])
def test_a_foreign_file_is_not_saved(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "records.log").write_bytes(content)
    code, _, said = refused("check", "--data", tmp_path)
    assert (code, "is not a store of flipside-server" in said) == (4, True)


def test_backups_of_a_busy_server_hold_what_was_acknowledged_before(
    data: Path, tmp_path: Path, token: str
) -> None:
    stop = threading.Event()
    acknowledged: list[int] = []

    def load(number: int) -> None:
        while not stop.is_set():
            text = f"{number} {len(acknowledged)}"
            body = {"status": {**PROCEEDING["status"], "details": [text]}}
            assert server.ask(token, "/deploymentBase/1/feedback", body)[0] == 200
            acknowledged.append(number)

    with serving(data) as server:
        threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        copies = []
        for number in range(2):
            before = len(acknowledged)
            done("backup", tmp_path / f"backup-{number}", "--data", data)
            copies.append((tmp_path / f"backup-{number}", before))
        stop.set()
        for thread in threads:
            thread.join()
    for number, (copy, before) in enumerate(copies):
        again = tmp_path / f"again-{number}"
        done("restore", copy, "--data", again)
        assert done("check", "--deep", "--data", again)
        [action] = json.loads(done("show", "actions", "--json", "--data", again))["actions"]
        told = [entry for entry in action["statuses"] if entry["kind"] == "running"]
        assert len(told) >= min(before, 900)
        content = artifact(again).read_bytes()
        assert hashlib.sha256(content).hexdigest() == artifact(again).name
