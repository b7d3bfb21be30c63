"""SWUpdate of three Debian suites against our server: signed updates are written to a file."""

from __future__ import annotations

import json
import os

import pytest

from models import opening, swu
from models.site import DEVICE, Site
from models.suricatta import Suricatta
from models.web import Mood

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

IMAGE = os.urandom(3_000_000)
DOWNLOAD = "/artifacts/fw.swu"
FEEDBACK = "/deploymentBase/1/feedback"
OFFER = f"GET {DEVICE}/deploymentBase/1?"
POLL = f"GET {DEVICE}"
WRITTEN = "All Chunks Installed."


@pytest.fixture
def offered(site: Site, suricatta: Suricatta) -> int:
    """The id of an action that the device has yet to see."""
    site.release("fw.swu", suricatta.update("2", IMAGE))
    return site.assign()


def test_a_whole_update_ends_well_when_the_new_system_has_come_up(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    with suricatta.running():
        site.until_answered(FEEDBACK, WRITTEN)
        shown = sum(1 for seen, _ in site.wire.answered if OFFER in f"{seen.method} {seen.path}")
        # It goes on asking for what it has installed, and must not lose sight of it.
        site.until_answered(OFFER, times=shown + 2)
    assert suricatta.slot == IMAGE
    assert site.state(offered) == "open"
    assert site.target()["attributes"] == {"version": "1"}
    suricatta.identity["version"] = "2"
    with suricatta.running("-c", "2"):
        site.until_answered(FEEDBACK, '"closed"')
        # Asked or not, it says what it is after every start.
        site.until_answered("/configData", '"2"')
    assert site.state(offered) == "finished"
    assert "Update Installed." in site.told(offered)
    assert site.target()["attributes"] == {"version": "2"}


def test_a_new_system_that_did_not_come_up_fails_the_action(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    with suricatta.running("-c", "3"):
        site.until_answered(FEEDBACK, '"closed"')
    assert site.state(offered) == "error"
    assert site.told(offered)[-1] == "Update Failed."
    assert suricatta.slot == b""


def test_an_update_that_somebody_else_signed_is_refused_with_the_reason(
    site: Site, suricatta: Suricatta
) -> None:
    site.release("fw.swu", suricatta.update("2", IMAGE, swu.new_signer()))
    action = site.assign()
    with suricatta.running():
        site.until_answered(FEEDBACK, '"closed"')
    assert site.state(action) == "error"
    assert any("erif" in text for text in site.told(action)), site.told(action)
    assert suricatta.slot == b""


def test_an_action_that_was_cancelled_in_time_is_never_begun(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    site.order("cancel", str(offered))
    with suricatta.running():
        site.until_answered("/cancelAction/1/feedback")
    assert site.state(offered) == "canceled"
    assert suricatta.slot == b""


def test_a_download_stops_when_the_action_is_cancelled(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    site.wire.pace = 0.2
    with suricatta.running():
        site.until_answered(FEEDBACK)
        site.order("cancel", str(offered))
        site.until_answered("/cancelAction/1/feedback")
    assert site.state(offered) == "canceled"
    assert site.wire.sent < len(IMAGE)


def test_a_window_that_is_closed_is_not_shown_at_all(site: Site, suricatta: Suricatta) -> None:
    site.release("fw.swu", suricatta.update("2", IMAGE))
    action = site.assign(*opening.closed())
    with suricatta.running():
        site.until_answered(POLL, times=4)
    assert not site.wire.asked(f"{DEVICE}/deploymentBase/1")
    assert site.state(action) == "open"


def test_a_window_that_is_open_lets_the_update_through(site: Site, suricatta: Suricatta) -> None:
    site.release("fw.swu", suricatta.update("2", IMAGE))
    site.assign(*opening.opened())
    with suricatta.running():
        site.until_answered(FEEDBACK, WRITTEN)
    assert suricatta.slot == IMAGE


def test_a_broken_download_goes_on_where_it_broke(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    site.spoil(f"GET {DEVICE}/softwaremodules", Mood.HALF, Mood.HALF)
    with suricatta.running() as client:
        site.until_answered(FEEDBACK, WRITTEN)
    assert suricatta.slot == IMAGE
    asked = site.wire.asked(f"{DEVICE}/softwaremodules/1{DOWNLOAD}")
    resumed = any(seen.headers.get("range", "").startswith("bytes=") for seen in asked)
    # Of a broken pipe an older one may have died instead, and begun the download anew.
    assert resumed or (suricatta.edition.frail and client.said.count("SWUpdate v") > 1)
    assert site.state(offered) == "open"


def test_broken_answers_are_survived(site: Site, suricatta: Suricatta, offered: int) -> None:
    site.spoil(POLL, Mood.BROKEN, Mood.GARBAGE, Mood.HALF)
    with suricatta.running() as client:
        site.until_answered(FEEDBACK, WRITTEN)
        assert client.runs()
    assert suricatta.slot == IMAGE
    assert site.state(offered) == "open"


def test_a_wrong_token_gets_nothing(site: Site, suricatta: Suricatta, offered: int) -> None:
    suricatta.token = "0" * 32
    with suricatta.running() as client:
        site.until_answered(POLL)
        assert client.runs()
    assert {status for _, status in site.wire.answered} == {401}
    assert site.state(offered) == "open"


def test_no_report_carries_the_devices_token(
    site: Site, suricatta: Suricatta, offered: int
) -> None:
    with suricatta.running():
        site.until_answered(FEEDBACK, WRITTEN)
    assert site.token not in json.dumps(site.action(offered))
