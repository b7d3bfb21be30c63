"""rauc-hawkbit-updater of Debian against our server, with a model of RAUC."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.request import Request

import pytest

from models import debian_clients, opening, rauc_updater
from models.rauc_service import ModelBundle
from models.rauc_updater import Updater
from models.site import DEVICE, Site
from models.site import site as opened_site
from models.web import Mood, Seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUNDLE = os.urandom(3_000_000)
FEEDBACK = "/deploymentBase/1/feedback"
DOWNLOAD = "/artifacts/fw.raucb"


@pytest.fixture
def offered(site: Site) -> int:
    """The id of an action that the device has yet to see."""
    site.release("fw.raucb", BUNDLE)
    return site.assign()


def test_the_first_poll_tells_the_attributes(site: Site, updater: Updater) -> None:
    updater.identity = {"version": "1", "board": "a"}
    done = updater.once()
    assert done.code == 0, done.said
    assert "No new software." in done.said
    assert site.target()["attributes"] == {"version": "1", "board": "a"}
    updater.once()
    assert len(site.wire.asked(f"{DEVICE}/configData", "PUT")) == 1


def test_a_whole_update_ends_well(site: Site, updater: Updater, offered: int) -> None:
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(offered) == "finished"
    told = site.told(offered)
    assert any(text.startswith("Download complete.") for text in told)
    assert "File checksum OK." in told
    assert "100% Installing done." in told
    assert told[-1] == "Software bundle installed successfully."
    assert not updater.bundle.exists()


def test_a_failed_installation_fails_the_action(site: Site, updater: Updater, offered: int) -> None:
    updater.installs(ModelBundle(install_error="no space left on slot"))
    done = updater.once()
    assert done.code == 1, done.said
    assert site.state(offered) == "error"
    assert site.told(offered)[-1] == "Failed to install software bundle."


def test_rauc_streams_the_bundle_with_the_devices_own_token(
    site: Site, updater: Updater, offered: int
) -> None:
    updater.options["stream_bundle"] = "true"
    url = f"http://{site.server}{DEVICE}/softwaremodules/1/artifacts/fw.raucb"
    updater.installs(ModelBundle(), url)
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(offered) == "finished"
    assert updater.rauc.service.headers == [f"Authorization: TargetToken {site.token}"]
    name, _, value = updater.rauc.service.headers[0].partition(": ")
    # As RAUC does: four bytes first, which tell the size, then ranges.
    magic = Request(url, headers={name: value, "Range": "bytes=0-3"})
    with urllib.request.urlopen(magic) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes 0-3/{len(BUNDLE)}"
        assert answer.read() == BUNDLE[:4]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(Request(url, headers={"Range": "bytes=0-3"}))


def test_an_action_that_was_cancelled_in_time_is_never_begun(
    site: Site, updater: Updater, offered: int
) -> None:
    site.order("cancel", str(offered))
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(offered) == "canceled"
    assert not updater.rauc.service.calls
    updater.once()
    assert len(site.wire.asked(f"{DEVICE}/cancelAction/{offered}/feedback", "POST")) == 1


def test_what_was_cancelled_during_its_download_is_not_installed(
    site: Site, updater: Updater, offered: int
) -> None:
    cancellation = f"GET {DEVICE}/cancelAction/{offered}"

    def pause(seen: Seen) -> None:
        # The client finishes a download before it answers; so it has to last until then.
        if DOWNLOAD in seen.path:
            site.order("cancel", str(offered))
            site.until_answered(cancellation)

    site.wire.before_answer = pause
    with updater.running():
        site.until_answered("/cancelAction/1/feedback")
    assert site.state(offered) == "canceled"
    assert not updater.rauc.service.calls
    assert not updater.bundle.exists()


def test_a_cancellation_during_the_installation_is_rejected_and_the_result_counts(
    site: Site, updater: Updater, offered: int
) -> None:
    updater.rauc.hold()
    with updater.running():
        updater.rauc.until_copying()
        site.order("cancel", str(offered))
        site.until_answered("/cancelAction/1/feedback", '"rejected"')
        assert site.state(offered) == "open"
        updater.rauc.go_on()
        site.until_answered(FEEDBACK, '"closed"')
    assert site.state(offered) == "finished"
    kinds = [status["kind"] for status in site.action(offered)["statuses"]]
    assert "cancel_rejected" in kinds


def test_a_wrong_token_gets_nothing(site: Site, updater: Updater, offered: int) -> None:
    updater.options["auth_token"] = "0" * 32
    done = updater.once()
    assert done.code == 1
    assert "Check if auth_token is correct?" in done.said
    # The wire remembers what it answered a moment after the client has heard it.
    site.until_answered(DEVICE)
    assert [status for _, status in site.wire.answered] == [401]
    assert site.target()["last_seen"] is None
    assert site.state(offered) == "open"


def test_a_broken_answer_costs_one_poll_and_nothing_else(
    site: Site, updater: Updater, offered: int
) -> None:
    # It takes whatever comes into memory until this many seconds are over.
    updater.options |= {"connect_timeout": "2", "timeout": "5"}
    site.wire.pace = 0.01
    for step in (f"GET {DEVICE}", f"GET {DEVICE}/deploymentBase/1"):
        for mood in (Mood.BROKEN, Mood.GARBAGE, Mood.HALF, Mood.ENDLESS):
            site.spoil(step, mood)
            done = updater.once()
            assert done.code == 1, (step, mood, done.said)
    assert site.state(offered) == "open"
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(offered) == "finished"


def test_a_result_that_was_lost_is_told_after_another_installation(
    site: Site, updater: Updater, offered: int
) -> None:
    site.spoil("installed successfully", Mood.BROKEN)
    with updater.running():
        site.until_answered(FEEDBACK, '"closed"', times=2)
    assert updater.rauc.service.calls.count("InstallBundle") == 2
    assert site.state(offered) == "finished"


def test_a_broken_download_goes_on_where_it_broke(
    site: Site, updater: Updater, offered: int
) -> None:
    updater.options["resume_downloads"] = "true"
    site.spoil(DOWNLOAD, Mood.HALF)
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(offered) == "finished"
    first, second = site.wire.asked(f"{DEVICE}/softwaremodules/1{DOWNLOAD}")
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={len(BUNDLE) // 2}-"
    assert [status for seen, status in site.wire.answered if DOWNLOAD in seen.path] == [200, 206]


def test_a_broken_download_that_may_not_go_on_fails_the_action(
    site: Site, updater: Updater, offered: int
) -> None:
    site.spoil(DOWNLOAD, Mood.HALF)
    done = updater.once()
    assert done.code == 1, done.said
    assert site.state(offered) == "error"
    assert "Download failed" in site.told(offered)[-1]


def test_a_window_that_is_closed_holds_the_installation_back(site: Site, updater: Updater) -> None:
    site.release("fw.raucb", BUNDLE)
    action = site.assign(*opening.closed())
    done = updater.once()
    assert done.code == 0, done.said
    assert site.state(action) == "open"
    assert "File checksum OK." in site.told(action)
    assert not updater.rauc.service.calls
    assert hashlib.sha1(updater.bundle.read_bytes()).digest() == hashlib.sha1(BUNDLE).digest()


def test_an_installation_begins_when_its_window_opens(site: Site, updater: Updater) -> None:
    site.release("fw.raucb", BUNDLE)
    action = site.assign(*opening.window(timedelta(seconds=45)))
    with updater.running():
        site.until_answered(f"GET {DEVICE}", times=3)
        assert not updater.rauc.service.calls
        site.until_answered(FEEDBACK, '"closed"')
    assert site.state(action) == "finished"
    assert len(site.wire.asked(f"{DEVICE}/softwaremodules/1{DOWNLOAD}")) <= 2


def test_a_download_only_assignment_ends_with_the_download(site: Site, updater: Updater) -> None:
    site.release("fw.raucb", BUNDLE)
    action = site.assign("--download-only")
    done = updater.once()
    assert done.code == 0, done.said
    assert site.feedback(action)[-1]["execution"] == "downloaded"
    assert site.state(action) == "downloaded"
    assert updater.bundle.read_bytes() == BUNDLE
    assert "deploymentBase" not in updater.once().said


def test_a_device_with_the_gateways_token_registers_itself(tmp_path: Path) -> None:
    token = "0123456789abcdef" * 2
    with opened_site(tmp_path, f'[devices]\ngateway_token = "{token}"\n') as running:
        place = tmp_path / "device"
        place.mkdir()
        tools = debian_clients.unpacked("forky")
        with rauc_updater.device(tools, place, running.server, "") as device:
            del device.options["auth_token"]
            device.options |= {"gateway_token": token, "target_name": "pi-2"}
            done = device.once()
            assert done.code == 0, done.said
        assert [one["target"] for one in running.targets()] == ["pi-1", "pi-2"]
