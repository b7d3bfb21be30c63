"""The console, against real shells on pseudo terminals and against lines typed by hand."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest

from flipside_qemu.alarms import Alarm
from flipside_qemu.console import Console
from flipside_qemu.deadline import Deadline
from flipside_qemu.errors import (
    AlarmError,
    CommandError,
    DeadlineError,
    PowerError,
    ShellLostError,
)

KERNEL = "[   12.345678] virtio_net virtio0: something happened\r\n"
PANIC = "[    3.000000] Kernel panic - not syncing: Attempted to kill init!\r\n"


@pytest.fixture(params=[["bash", "--norc", "--noprofile", "-i"], ["sh", "-i"]], ids=["bash", "sh"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Console]:
    """A console on whose other end a real shell sits at a pseudo terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        request.param, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    console = Console(tmp_path / "console.log")
    console.attach(ours)
    yield console
    process.kill()
    process.wait()
    console.detach()


class Wire:
    """The other end of a console, to be typed on by the test in the device's place."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.heard = ""

    def say(self, text: str) -> None:
        self.end.sendall(text.encode())

    def hear(self, pattern: str) -> re.Match[str]:
        """Read until the console has typed something that matches."""
        self.end.settimeout(10)
        while (found := re.search(pattern, self.heard)) is None:
            self.heard += self.end.recv(4096).decode()
        self.heard = self.heard[found.end() :]
        return found

    def answer_greeting(self) -> None:
        token = self.hear(r"ady' (\S+)\n")[1]
        self.say(f"@ready {token}\r\n")


@pytest.fixture
def wire() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    with theirs, contextlib.suppress(OSError):
        yield Wire(theirs), ours


@pytest.fixture
def device(wire: tuple[Wire, socket.socket], tmp_path: Path) -> Iterator[tuple[Console, Wire]]:
    """A console, and the other end of it."""
    other, ours = wire
    console = Console(tmp_path / "console.log")
    console.attach(ours.detach())
    yield console, other
    console.detach()


class TestShell:
    def test_check_gives_the_output(self, shell: Console) -> None:
        assert shell.check("echo one; echo two >&2") == "one\ntwo"

    def test_output_without_a_last_newline_is_whole(self, shell: Console) -> None:
        assert shell.check("printf abc") == "abc"

    def test_run_gives_the_code(self, shell: Console) -> None:
        assert shell.run("(exit 7)").code == 7

    def test_test_is_true_or_false(self, shell: Console) -> None:
        assert (shell.test("true"), shell.test("false")) == (True, False)

    def test_check_that_fails_says_command_code_and_output(self, shell: Console) -> None:
        with pytest.raises(CommandError, match=r"`ls /nowhere` with code 2: .*No such file"):
            shell.check("ls /nowhere")

    def test_a_failed_command_does_not_kill_the_device(self, shell: Console) -> None:
        with pytest.raises(CommandError):
            shell.check("false")
        assert shell.test("true")

    def test_exit_and_cd_end_with_their_command(self, shell: Console) -> None:
        assert shell.run("cd / && exit 3").code == 3
        assert shell.check("pwd") != "/"

    def test_a_syntax_error_is_the_commands(self, shell: Console) -> None:
        assert shell.run("if (").code == 2
        assert shell.check("echo well") == "well"

    def test_a_command_that_asks_gets_no_answer_instead_of_hanging(self, shell: Console) -> None:
        assert not shell.test("read -r answer")

    def test_quotes_and_lines_arrive_as_they_are(self, shell: Console) -> None:
        assert shell.check("""printf '%s\n' "it's" 'a "b"'\nprintf '%s' '$HOME'""") == (
            'it\'s\na "b"\n$HOME'
        )

    def test_output_that_looks_like_an_answer_is_output(self, shell: Console) -> None:
        assert shell.check("echo @end 2 0") == "@end 2 0"

    def test_files_arrive_whole(self, shell: Console, tmp_path: Path) -> None:
        content = os.urandom(5000)
        shell.put(f"{tmp_path}/a file", content, mode="0600")
        assert (tmp_path / "a file").read_bytes() == content
        assert (tmp_path / "a file").stat().st_mode & 0o777 == 0o600

    def test_a_line_that_a_terminal_would_cut_is_refused(self, shell: Console) -> None:
        with pytest.raises(ValueError, match=r"put\(\) a script"):
            shell.run("x" * 5000)

    def test_long_commands_arrive(self, shell: Console) -> None:
        assert shell.check("echo " + "x" * 2500) == "x" * 2500

    def test_much_output_arrives(self, shell: Console) -> None:
        assert len(shell.check("seq 20000").splitlines()) == 20000

    def test_what_a_command_shows_can_be_waited_for_but_not_its_echo(self, shell: Console) -> None:
        shell.check("echo hello; echo world")
        assert shell.wait_for("hello.*").group() == "hello"
        assert shell.wait_for("world").group() == "world"
        with pytest.raises(DeadlineError):
            shell.wait_for("world", within=0.1)

    def test_a_deadline_names_command_and_last_line(self, shell: Console) -> None:
        with pytest.raises(
            DeadlineError, match=r"the end of `echo soon; sleep 60` within 0 s.*soon"
        ):
            shell.run("echo soon; sleep 60", within=0.4)

    def test_fails_once(self, shell: Console) -> None:
        with pytest.raises(DeadlineError) as first:
            shell.run("sleep 60", within=0.1)
        with pytest.raises(DeadlineError) as second:
            shell.check("true")
        assert first.value is second.value is shell.failure

    def test_a_shared_deadline_is_not_renewed(self, shell: Console) -> None:
        deadline = Deadline.after(0)
        shell.login()
        with pytest.raises(DeadlineError):
            shell.run("sleep 60", within=deadline)


class TestLine:
    def test_kernel_lines_are_taken_out_of_the_middle_of_anything(
        self, device: tuple[Console, Wire]
    ) -> None:
        console, wire = device
        wire.say("root@device:~# ")
        with answering(wire, f"one t{KERNEL}wo\r\n", split_end=True):
            result = console.run("echo one two")
        assert result.output == "one two"
        assert result.kernel == (KERNEL.strip(), KERNEL.strip())

    def test_a_prompt_that_the_kernel_wrote_behind_is_a_prompt(
        self, device: tuple[Console, Wire]
    ) -> None:
        console, wire = device
        wire.say(f"root@device:~# {KERNEL}")
        with answering(wire, "hello\r\n"):
            assert console.check("echo hello") == "hello"

    def test_nothing_is_typed_before_something_asks(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say("BdsDxe: starting Boot0001\r\nWelcome to GRUB!\r\nslot A\r\n")
        with pytest.raises(DeadlineError, match=r"a shell within 0 s.*'slot A'"):
            console.login(within=0.2)
        wire.end.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.end.recv(1)

    def test_a_login_prompt_gets_root(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say("device login: ")

        def log_in() -> None:
            wire.hear("root\n")
            wire.answer_greeting()

        with background(log_in):
            console.login()

    def test_a_shell_that_does_not_answer_is_greeted_again(self, tmp_path: Path) -> None:
        ours, theirs = socket.socketpair()
        wire = Wire(theirs)
        console = Console(tmp_path / "log", patience=0.02)
        console.attach(ours.detach())
        wire.say("# ")

        def answer_late() -> None:
            wire.hear(r"ady' \S+\n")
            wire.answer_greeting()

        with background(answer_late):
            console.login()
        theirs.close()
        console.detach()

    def test_a_reboot_that_nobody_announced_is_noticed(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say("# ")
        with answering(wire, "one\r\n", after="# [   50.000000] reboot: Restarting system\r\n"):
            assert console.check("echo one") == "one"
        console.wait_for_reboot()
        wire.say("BdsDxe: loading Boot0001\r\nroot@device:~# ")
        with answering(wire, "two\r\n"):
            assert console.check("echo two") == "two"

    def test_a_reboot_during_a_command_is_told_at_once(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say("# ")

        def reboot() -> None:
            wire.answer_greeting()
            wire.hear("_run")
            wire.say("[   50.000000] reboot: Restarting system\r\n")

        with background(reboot), pytest.raises(ShellLostError, match=r"`sleep 9`.*Restarting"):
            console.run("sleep 9", within=50)

    def test_power_that_goes_is_told_at_once(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say("booting\r\n")
        console.wait_for("booting")
        with background(wire.end.close), pytest.raises(PowerError, match=r"is off.*`login`"):
            console.wait_for("login", within=50)

    def test_an_alarm_ends_every_wait_with_its_line(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say(PANIC)
        with pytest.raises(AlarmError, match=r"kernel panic.*Attempted to kill init"):
            console.wait_for("never", within=50)

    def test_an_alarm_is_not_missed_while_nobody_waits(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        wire.say(f"{PANIC}later\r\n")
        with pytest.raises(AlarmError):
            console.wait_for("later", within=50)

    def test_a_wanted_panic_passes(self, device: tuple[Console, Wire]) -> None:
        console, wire = device
        with console.expecting(Alarm.PANIC):
            wire.say(PANIC)
            console.wait_for("Kernel panic")
        wire.say(PANIC)
        with pytest.raises(AlarmError):
            console.wait_for("never", within=50)

    def test_a_terminal_that_is_asked_where_its_cursor_is_answers(
        self, device: tuple[Console, Wire]
    ) -> None:
        console, wire = device
        wire.say("\x1b[32766;32766H\x1b[6")
        wire.say("nhel\x1b[1;31mlo\x1b[0m\r\n")
        assert wire.hear(r"\x1b\[(\d+);(\d+)R").groups() == ("50", "200")
        assert console.wait_for("hel+o$").group() == "hello"

    @pytest.mark.parametrize("pattern", [r"state: (.*)$", r"state: (\w+)", r"state: (.*?)\s*$"])
    def test_a_word_is_not_taken_before_it_is_whole(
        self, device: tuple[Console, Wire], pattern: str
    ) -> None:
        console, wire = device
        wire.say("state: verif")
        Timer(0.2, wire.say, ["ying\r\n"]).start()
        assert console.wait_for(pattern)[1] == "verifying"

    def test_the_log_has_stamps_and_notes(
        self, device: tuple[Console, Wire], tmp_path: Path
    ) -> None:
        console, wire = device
        wire.say("one\r\ntwo ")
        console.wait_for("two ")
        console.note("power cut")
        wire.say("three\r\n")
        console.wait_for("three")
        stamp = r"\d\d:\d\d:\d\d\.\d{3}"
        assert re.fullmatch(
            rf"{stamp} \| one\n{stamp} \| two \n{stamp} = power cut\n{stamp} \. three\n",
            (tmp_path / "console.log").read_text(),
        )

    def test_a_listener_hears_every_line(self, tmp_path: Path) -> None:
        ours, theirs = socket.socketpair()
        lines: list[str] = []
        console = Console(tmp_path / "log", hear=lines.append)
        console.attach(ours.detach())
        Wire(theirs).say("one\r\nt")
        Wire(theirs).say("wo\r\n# ")
        console.wait_for("# ")
        theirs.close()
        console.detach()
        assert lines == ["one", "two"]


@contextlib.contextmanager
def background(act: Callable[[], object]) -> Iterator[None]:
    """Let the device's end act in a thread meanwhile, and let its failure fail the test."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(act)
        yield
        future.result(timeout=10)


def answering(
    wire: Wire, output: str, *, after: str = "# ", split_end: bool = False
) -> contextlib.AbstractContextManager[None]:
    """Let the device's end greet if it is greeted, and answer one command."""

    def act() -> None:
        typed = wire.hear(r"(?:ady'|_run) (\S+).*\n")
        if typed[0].startswith("ady"):
            wire.say(f"@ready {typed[1]}\r\n# ")
            typed = wire.hear(r"_run (\S+) .*\n")
        end = f"@e{KERNEL}nd" if split_end else "@end"
        wire.say(f"{typed[0]}\r\n@begin {typed[1]}\r\n{output}{end} {typed[1]} 0\r\n{after}")

    return background(act)
