"""The journal in a real file, torn, damaged, and out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flipside_agent.diagram import SEEN, UPDATE
from flipside_agent.errors import DeviceError, OperatorError
from flipside_agent.journal import Journal, sole_owner
from flipside_agent.page import SIZE, Page, seal
from flipside_agent.pages import FilePages
from flipside_agent.record import Record, encode
from flipside_agent.states import Committing, Installing, Rebooting, Verifying
from models.rights import longest_file, nobody

FIRST = Record(Rebooting(UPDATE), boot="1")
SECOND = Record(Verifying(UPDATE), boot="2")
THIRD = Record(Committing(UPDATE), boot="2")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(path: Path) -> Journal:
    return Journal(FilePages(path))


def test_where_there_is_none_there_is_no_story(journal: Journal, path: Path) -> None:
    assert journal.load() is None
    assert not path.exists()


def test_what_was_saved_last_is_loaded(journal: Journal) -> None:
    for record in (FIRST, SECOND, THIRD):
        journal.save(record)
        assert journal.load() == record


def test_the_file_is_made_once_and_never_grows_or_shrinks(journal: Journal, path: Path) -> None:
    journal.save(FIRST)
    made = path.stat()
    for _ in range(5):
        journal.save(Record(Installing(UPDATE, SEEN), boot="2"))
    assert (path.stat().st_ino, path.stat().st_size) == (made.st_ino, 2 * SIZE)
    assert path.stat().st_mode & 0o777 == 0o600


class InMemory:
    """Two pages that can be torn."""

    def __init__(self) -> None:
        self.pages = [bytes(SIZE), bytes(SIZE)]

    def read(self, number: int) -> bytes:
        return self.pages[number]

    def write(self, number: int, raw: bytes) -> None:
        self.pages[number] = raw


def test_a_write_torn_at_any_byte_leaves_the_record_before_it() -> None:
    pages = InMemory()
    journal = Journal(pages)
    journal.save(FIRST)
    journal.save(SECOND)
    old = pages.pages[0]
    journal.save(THIRD)
    new = pages.pages[0]
    for at in range(1, SIZE):
        for torn in (new[:at] + old[at:], old[:at] + new[at:]):
            pages.write(0, torn)
            assert journal.load() == (THIRD if torn == new else SECOND), at


def test_after_a_torn_write_the_next_one_mends_it(journal: Journal, path: Path) -> None:
    journal.save(FIRST)
    journal.save(SECOND)
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1  # in the first page, whose turn it is
    path.write_bytes(raw)
    journal.save(THIRD)
    assert journal.load() == THIRD
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    assert journal.load() == SECOND


def test_both_pages_torn_is_no_story_and_is_overwritten(journal: Journal, path: Path) -> None:
    path.write_bytes(b"\xff" * 2 * SIZE)
    assert journal.load() is None
    journal.save(FIRST)
    assert journal.load() == FIRST


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE - 1])
def test_a_file_that_was_being_made_is_filled_up(journal: Journal, path: Path, size: int) -> None:
    path.write_bytes(bytes(size))
    assert journal.load() is None
    journal.save(FIRST)
    journal.save(SECOND)
    assert path.stat().st_size == 2 * SIZE
    assert journal.load() == SECOND


def test_filling_up_keeps_the_page_that_is_there(journal: Journal, path: Path) -> None:
    journal.save(FIRST)
    path.write_bytes(path.read_bytes()[:SIZE])
    assert journal.load() == FIRST
    journal.save(SECOND)
    assert journal.load() == SECOND


def test_the_page_before_counts_if_the_newest_says_nothing_to_us(path: Path) -> None:
    foreign = seal(Page(2, 9, b'{"epoch":"later"}'))
    path.write_bytes(seal(Page(1, 1, encode(FIRST))) + foreign)
    journal = Journal(FilePages(path))
    assert journal.load() == FIRST
    # It is not overwritten first: it is the newest.
    journal.save(SECOND)
    assert path.read_bytes()[SIZE:] == foreign
    assert journal.load() == SECOND


def test_once_it_is_made_a_save_needs_no_room(journal: Journal) -> None:
    journal.save(FIRST)
    with longest_file(2 * SIZE):
        journal.save(SECOND)
        journal.save(THIRD)
    assert journal.load() == THIRD


def test_no_room_to_make_it_is_told_and_mended_later(journal: Journal, path: Path) -> None:
    with longest_file(SIZE + 100), pytest.raises(DeviceError, match="cannot write the journal"):
        journal.save(FIRST)
    assert journal.load() is None
    journal.save(FIRST)
    assert (journal.load(), path.stat().st_size) == (FIRST, 2 * SIZE)


def test_a_missing_directory_is_no_missing_journal(tmp_path: Path) -> None:
    journal = Journal(FilePages(tmp_path / "data" / "journal"))
    expected = "data: no such directory, expected the data partition to be mounted"
    with pytest.raises(DeviceError, match=expected):
        journal.load()
    with pytest.raises(DeviceError, match=expected):
        journal.save(FIRST)


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    journal = Journal(FilePages(tmp_path))
    with pytest.raises(DeviceError, match="cannot read the journal: Is a directory"):
        journal.load()


def test_without_permission_the_operator_is_to_blame() -> None:
    # Not in tmp_path: somebody else could not even look for it there.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "journal"
        journal = Journal(FilePages(path))
        journal.save(FIRST)
        path.chmod(0)
        with nobody(), pytest.raises(OperatorError, match="no permission to read the journal"):
            journal.load()
        path.chmod(0o444)
        with nobody(), pytest.raises(OperatorError, match="no permission to write the journal"):
            journal.save(SECOND)
        assert journal.load() == FIRST


READ_ONLY = """
import sys
from pathlib import Path
from flipside_agent.errors import DeviceError
from flipside_agent.journal import Journal
from flipside_agent.pages import FilePages

journal = Journal(FilePages(Path(sys.argv[1])))
record = journal.load()
sys.stdout.write(f"{type(record.state).__name__}\\n")
try:
    journal.save(record)
except DeviceError as error:
    sys.stdout.write(str(error))
"""


def test_on_a_read_only_file_system_the_story_is_read_and_nothing_is_done(
    journal: Journal, path: Path
) -> None:
    journal.save(FIRST)
    mounts = f"mount --bind {path.parent} {path.parent} && mount -o remount,ro,bind {path.parent}"
    inside = f'{mounts} && exec "$0" -c "$1" {path}'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside]
    try:
        done = subprocess.run(
            [*command, sys.executable, READ_ONLY],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no user namespaces here: {error}")
    name, told = done.stdout.splitlines()
    assert name == "Rebooting"
    assert told == f"{path}: cannot write the journal: Read-only file system"


def test_a_journal_has_one_agent_at_a_time(path: Path) -> None:
    with (
        sole_owner(path),
        pytest.raises(OperatorError, match="another flipside-agent"),
        sole_owner(path),
    ):
        pass
    with sole_owner(path):
        pass


def test_where_there_can_be_no_journal_nobody_is_kept_out(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere/journal"
    with sole_owner(nowhere), sole_owner(nowhere):
        pass
