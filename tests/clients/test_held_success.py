"""A stock client's success is a promise: the server waits until the device keeps it."""

from __future__ import annotations

import os

import pytest

from models.rauc_updater import Updater
from models.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def _shelf(site: Site) -> None:
    site.release("fw.raucb", os.urandom(300_000))


def _installed(updater: Updater) -> None:
    """Have the device install what it is offered and say that this went well."""
    done = updater.once()
    assert done.code == 0, done.said
    assert "Software bundle installed successfully." in done.said


def test_a_device_that_comes_up_with_the_new_version_keeps_its_promise(
    site: Site, updater: Updater
) -> None:
    action = site.assign("--hold", "01:00:00")
    _installed(updater)
    assert site.state(action) == "installed"
    # Not rebooted yet: what still runs proves nothing.
    updater.once()
    assert site.state(action) == "installed"
    updater.identity["version"] = "2"
    updater.once()
    assert site.state(action) == "finished"
    assert site.told(action)[-1] == "Update Server: the device shows 2."
    assert site.target()["state"] == "in_sync"


def test_a_device_that_fell_back_has_failed_although_it_reported_success(
    site: Site, updater: Updater
) -> None:
    action = site.assign("--hold", "00:00:20")
    _installed(updater)
    # It comes up from the slot that it had before, with the version of that one.
    while site.state(action) == "installed":
        updater.once()
    assert site.state(action) == "error"
    why = site.told(action)[-1]
    assert why.startswith("Update Server: success was reported, but the device never showed")
    assert why.endswith("it shows 1.")
    assert site.target()["state"] == "error"


def test_without_a_hold_the_client_is_believed(site: Site, updater: Updater) -> None:
    action = site.assign("--hold", "no")
    _installed(updater)
    assert site.state(action) == "finished"
    updater.once()
    assert site.state(action) == "finished"
