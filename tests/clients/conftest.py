"""A server of ours that runs, and a device with a stock client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models import debian_clients, rauc_updater, suricatta
from models.rauc_updater import Updater
from models.site import Site, site
from models.suricatta import EDITIONS, Suricatta


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as running:
        yield running


@pytest.fixture
def updater(site: Site, tmp_path: Path) -> Iterator[Updater]:
    """A device with rauc-hawkbit-updater."""
    place = tmp_path / "device"
    place.mkdir()
    tools = debian_clients.unpacked("forky")
    with rauc_updater.device(tools, place, site.server, site.token) as device:
        yield device


@pytest.fixture(name="suricatta", params=EDITIONS, ids=lambda edition: edition.suite)
def _suricatta(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Suricatta:
    """A device with the SWUpdate of one of Debian's suites."""
    place = tmp_path / "device"
    place.mkdir()
    return suricatta.device(request.param, place, site.server, site.token)
