"""Which lines of a failed boot's journal are kept, and which boot they are of."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as some

from flipside_agent.last_words import Trial, last_words, trial

STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
FAILED = "be02cf6855d2428ba40df7e9d022f03d"
SHUTDOWN = "98268866d1d54a499c4e98921d93bc40"
BOOT = "0123456789abcdef0123456789abcdef"


def said(message: object, who: str = "systemd", about: str = "") -> str:
    """A line of ``journalctl --output=json``."""
    fields = {"SYSLOG_IDENTIFIER": who, "MESSAGE": message}
    return json.dumps(fields | ({"MESSAGE_ID": about} if about else {})) + "\n"


def test_a_boot_that_was_ended_in_order_is_told_up_to_its_end() -> None:
    journal = (
        said("Started flipside-agent.service - Flipside update agent.", about=STARTED)
        + said("the pump does not answer", "pump-answers")
        + said("Failed to start flipside-check@x.service - Health check x.", about=FAILED)
        + said("health check pump-answers failed: the pump does not answer", "flipside")
        + said("System is rebooting (rolling back).", "systemd-logind", SHUTDOWN)
        + said("Stopping console.service - Root shell on the serial port...", about=STOPPING)
        + said("Received SIGTERM", "systemd-journald")
    )
    assert last_words(journal) == (
        "pump-answers: the pump does not answer",
        "systemd: Failed to start flipside-check@x.service - Health check x.",
        "flipside: health check pump-answers failed: the pump does not answer",
    )


def test_a_trial_that_the_agent_gave_up_is_told_up_to_there() -> None:
    journal = (
        said("flipside: health check probe failed: no pulse", "flipside-agent")
        + said("flipside: rolling back: 2 in slot B", "flipside-agent")
        + said("Marked slot rootfs.1 as bad", "rauc")
        + said("flipside: rebooting: to go back to slot A", "flipside-agent")
    )
    assert last_words(journal) == ("flipside-agent: flipside: health check probe failed: no pulse",)


def test_nobody_else_ends_the_story() -> None:
    journal = said("flipside: rolling back", "pump") + said("and on", "pump")
    assert len(last_words(journal)) == 2


def test_what_was_about_to_start_when_all_ended_is_told() -> None:
    journal = (
        said("Starting good.service - Good...", about=STARTING)
        + said("Started good.service - Good.", about=STARTED)
        + said("Starting stuck.service - Stuck...", about=STARTING)
    )
    assert last_words(journal)[-1] == "systemd: Starting stuck.service - Stuck..."


def test_bytes_that_are_no_text_are_told_as_far_as_they_go() -> None:
    assert last_words(said([0x70, 0x75, 0xFF, 0x21], "pump")) == ("pump: pu\ufffd!",)


def test_empty_lines_and_half_lines_are_left_out() -> None:
    assert last_words(said("") + said(None) + said("  ") + '{"MESSAGE":"cut o') == ()
    assert last_words("") == ()


def test_who_does_not_say_its_name_has_that_of_its_program() -> None:
    assert last_words('{"MESSAGE":"hello","_COMM":"rauc"}\n') == ("rauc: hello",)
    assert last_words('{"MESSAGE":"hello"}\n') == ("unknown: hello",)


def test_the_trial_is_the_boot_whose_command_line_it_is() -> None:
    line = {"MESSAGE": "quiet rauc.slot=B flipside.trial=1", "_BOOT_ID": BOOT}
    assert trial(json.dumps(line)) == Trial("01234567-89ab-cdef-0123-456789abcdef", "B")


def test_of_several_the_newest_counts() -> None:
    lines = (
        {"MESSAGE": "rauc.slot=A", "_BOOT_ID": "0" * 32},
        {"MESSAGE": "rauc.slot=B", "_BOOT_ID": BOOT},
        {"MESSAGE": "Flushed 3 MiB", "_BOOT_ID": BOOT},
    )
    found = trial("\n".join(json.dumps(line) for line in lines))
    assert found is not None
    assert found.slot == "B"


def test_without_a_command_line_there_is_no_trial() -> None:
    for line in ({}, {"MESSAGE": "rauc.slot=B"}, {"MESSAGE": "rauc.slot=B", "_BOOT_ID": "x"}):
        assert trial(json.dumps(line)) is None
    assert trial("") is None


@given(some.text())
def test_nothing_that_a_journal_says_is_an_error(output: str) -> None:
    last_words(output)
    trial(output)


@given(some.lists(some.dictionaries(some.sampled_from(["MESSAGE", "MESSAGE_ID"]), some.none()
    | some.text() | some.integers() | some.lists(some.integers(-1, 300)))))  # fmt: skip
def test_no_member_is_an_error(messages: list[dict[str, object]]) -> None:
    output = "\n".join(json.dumps(message) for message in messages)
    assert all(": " in line for line in last_words(output))
