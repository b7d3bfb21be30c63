"""A success that is reported before the boot is believed only once the device shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flipside_server.orders import Assign
from flipside_server.overdue import PAUSE
from flipside_server.settings import Hold
from flipside_server.table import tables
from flipside_server.terms import Terms
from models.ddi_device import OFTEN, Answer, Device, House
from models.full_disk import full_disk
from models.stock_clients import RaucHawkbitUpdater, SWUpdate

HELD = replace(OFTEN, hold=Hold(always=True, limit=3600))
HOUR = 3600


@pytest.fixture(name="held")
def _held(house: House, device: Device) -> Device:
    """A device of which every success is held, on which 1.0 runs and shows itself."""
    house.serve(HELD)
    house.release("2.0")
    house.assign("pi-1", house.release("1.0"))
    client = RaucHawkbitUpdater(device)
    client.poll()
    show(device, "1.0")
    assert house.target("pi-1")["installed"] == "os:1.0"
    return device


def show(device: Device, version: str, name: str = "version") -> Answer:
    return device.call("PUT", "/configData", {"data": {name: version}})


def state(house: House, key: int) -> Any:
    return house.action(key)["state"]


def last(house: House, key: int) -> str:
    return str(house.action(key)["statuses"][-1]["messages"][-1])


def test_a_success_is_held_until_the_device_shows_the_version(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    client = RaucHawkbitUpdater(held, {"version": "1.0"})
    client.poll()
    assert state(house, key) == "installed"
    assert house.target("pi-1")["installed"] == "os:1.0"
    assert house.target("pi-1")["state"] == "pending"
    client.poll()
    assert state(house, key) == "installed"
    assert "configData" in held.poll()
    client.attributes["version"] = "2.0"
    client.poll()
    assert state(house, key) == "finished"
    assert last(house, key) == "Update Server: the device shows 2.0."
    assert house.target("pi-1")["installed"] == "os:2.0"
    assert set(held.poll()) == {"installedBase"}


def test_it_is_not_offered_again_while_it_is_held(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    assert "deploymentBase" not in held.poll()
    assert held.get(f"/deploymentBase/{key}").status == 404
    assert held.report(key, "closed", "success").status == 200
    assert state(house, key) == "installed"
    assert held.report(key, "closed", "failure", "the bootloader gave up").status == 200
    assert state(house, key) == "error"


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_fallback_is_a_failure_once_its_time_is_over(
    house: House, held: Device, comes_back: bool
) -> None:
    key = house.assign("pi-1", "os:2.0")
    client = RaucHawkbitUpdater(held, {"version": "1.0"})
    client.poll()
    if comes_back:
        client.poll()
    house.wait(HOUR - 10)
    assert state(house, key) == "installed"
    house.wait(PAUSE // 1000 + 10)
    assert state(house, key) == "error"
    assert "never showed the new version" in last(house, key)
    assert last(house, key).endswith("it shows 1.0.")
    assert house.target("pi-1")["state"] == "error"
    assert house.target("pi-1")["installed"] == "os:1.0"
    house.store.close()
    house.open()
    assert state(house, key) == "error"


def test_a_late_version_does_not_make_a_failure_good(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    house.wait(2 * HOUR)
    show(held, "2.0")
    assert state(house, key) == "error"


def test_a_device_that_waited_for_the_server_can_still_show_itself(
    house: House, held: Device
) -> None:
    other = house.device("pi-2")
    keys = [house.assign(one.name, "os:2.0") for one in (held, other)]
    for one in (held, other):
        RaucHawkbitUpdater(one).poll()
    house.store.close()
    house.now += 2000 * HOUR
    house.open()
    house.wait(50)
    assert [state(house, key) for key in keys] == ["installed", "installed"]
    show(held, "2.0")
    house.wait(15)
    assert [state(house, key) for key in keys] == ["finished", "error"]


def test_what_a_full_disk_cannot_keep_is_kept_later(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    house.wait(HOUR - 10)
    with full_disk():
        house.wait(PAUSE // 1000 + 10)
    assert state(house, key) == "installed"
    house.wait(PAUSE // 1000)
    assert state(house, key) == "error"


def test_attributes_from_before_prove_nothing(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    show(held, "2.0")
    assert state(house, key) == "open"
    RaucHawkbitUpdater(held, {"hw": "x"}).poll()
    assert state(house, key) == "installed"


def test_our_own_agent_is_believed_at_once(house: House, held: Device) -> None:
    held.headers["User-Agent"] = "flipside-agent"
    key = house.assign("pi-1", "os:2.0")
    held.report(key, "closed", "success")
    assert state(house, key) == "finished"


def test_one_assignment_can_have_its_own_rule(house: House, device: Device) -> None:
    first, second = house.release("1.0"), house.release("2.0")
    key = house.assign("pi-1", first, Terms(hold=60))
    device.headers["User-Agent"] = "flipside-agent"
    device.report(key, "closed", "success")
    assert house.action(key)["state"] == "installed"
    house.wait(60 + PAUSE // 1000)
    assert house.action(key)["state"] == "error"
    house.serve(HELD)
    trusted = house.assign("pi-1", second, Terms(hold=0))
    device.headers["User-Agent"] = "rauc-hawkbit-c-agent/1.0"
    device.report(trusted, "closed", "success")
    assert house.action(trusted)["state"] == "finished"


def test_swupdate_reports_after_its_reboot_and_shows_itself_then(
    house: House, device: Device
) -> None:
    house.serve(HELD)
    key = house.assign("pi-1", house.release("2.0", file="fw.swu"))
    client = SWUpdate(device, {"sw_version": "1.0"})
    client.start()
    client.poll()
    again = SWUpdate(device, {"sw_version": "2.0"})
    again.start()
    assert again.reboot("success")
    assert house.action(key)["state"] == "installed"
    again.start()
    assert house.action(key)["state"] == "finished"


def test_put_installed_base_shows_it_too(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    answer = held.call("PUT", "/installedBase", {"name": "os", "version": "2.0"})
    assert (answer.status, answer.body) == (200, b"")
    assert state(house, key) == "finished"
    assert house.target("pi-1")["installed"] == "os:2.0"


def test_put_installed_base_of_the_older_is_a_failure_at_once(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    assert held.call("PUT", "/installedBase", {"name": "os", "version": "1.0"}).status == 200
    assert state(house, key) == "error"
    assert last(house, key) == "Update Server: the device says that it runs os:1.0."


def test_a_device_that_later_shows_the_older_one_fell_back(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    show(held, "2.0")
    assert house.target("pi-1")["remark"] is None
    for _ in range(2):
        show(held, "1.0")
    told = house.target("pi-1")
    assert told["state"] == "error"
    assert told["remark"] == "fell back: it shows 1.0 although os:2.0 was installed"
    assert told["remark"] in tables({"targets": [told]})
    assert last(house, key) == "Update Server: the device fell back: it shows 1.0 again."
    assert len(house.action(key)["statuses"]) == len(set(map(str, house.action(key)["statuses"])))
    assert state(house, key) == "finished"
    show(held, "2.0")
    assert house.target("pi-1")["remark"] is None
    assert house.target("pi-1")["state"] == "in_sync"


def test_a_factory_version_that_comes_back_is_seen(house: House, device: Device) -> None:
    house.serve(HELD)
    show(device, "0.1")
    key = house.assign("pi-1", house.release("2.0"))
    device.report(key, "closed", "success")
    show(device, "2.0")
    show(device, "0.1")
    assert house.target("pi-1")["remark"].startswith("fell back: it shows 0.1")


def test_versions_that_are_named_otherwise_accuse_nobody(house: House, device: Device) -> None:
    for version in ["1.0", "2.0"]:
        key = house.assign("pi-1", house.release(version))
        device.report(key, "closed", "success")
        show(device, f"build-{version}-x")
    assert house.target("pi-1")["remark"] is None
    assert house.target("pi-1")["state"] == "in_sync"


def test_a_fallback_after_an_unheld_success_is_seen(house: House, device: Device) -> None:
    for version in ["1.0", "2.0"]:
        device.report(house.assign("pi-1", house.release(version)), "closed", "success")
    show(device, "1.0")
    assert house.target("pi-1")["remark"].startswith("fell back: it shows 1.0")
    device.report(house.assign("pi-1", "os:2.0"), "closed", "success")
    assert house.target("pi-1")["remark"] is None


def test_the_attribute_can_be_named(house: House, device: Device) -> None:
    house.serve(replace(HELD, hold=Hold(True, 3600, ("os_build",))))
    key = house.assign("pi-1", house.release("2.0"))
    device.report(key, "closed", "success")
    show(device, "2.0")
    assert house.action(key)["state"] == "installed"
    show(device, "2.0", "os_build")
    assert house.action(key)["state"] == "finished"


def test_another_assignment_ends_what_is_held(house: House, held: Device) -> None:
    key = house.assign("pi-1", "os:2.0")
    RaucHawkbitUpdater(held).poll()
    assert house.assign("pi-1", "os:2.0") == key
    newer = house.assign("pi-1", house.release("3.0"))
    assert state(house, key) == "canceled"
    assert f"/deploymentBase/{newer}?" in held.poll()["deploymentBase"]["href"]


def test_what_a_device_repeats_is_not_written_again(house: House, held: Device) -> None:
    show(held, "1.0")
    held.call("PUT", "/installedBase", {"name": "os", "version": "1.0"})
    before = house.written()
    show(held, "1.0")
    assert held.call("PUT", "/installedBase", {"name": "os", "version": "1.0"}).status == 200
    assert house.written() == before


def test_what_was_installed_by_other_ways(house: House, device: Device) -> None:
    label = house.release("2.0")
    answer = device.call("PUT", "/installedBase", {"name": "os", "version": "2.0"})
    assert (answer.status, answer.body) == (201, b"")
    assert house.target("pi-1")["installed"] == label
    assert house.target("pi-1")["state"] == "in_sync"
    href = device.poll()["installedBase"]["href"]
    assert device.get(href).json["deployment"]["chunks"][0]["version"] == "2.0"
    assert device.call("PUT", "/installedBase", {"name": "os", "version": "2.0"}).status == 200


@pytest.mark.parametrize("body", [None, [], {}, {"name": "os"}, {"name": 1, "version": "2.0"}])
def test_what_is_no_distribution_set(device: Device, body: Any) -> None:
    assert device.call("PUT", "/installedBase", body).status == 400


def test_an_unknown_distribution_set_makes_nothing(house: House, device: Device) -> None:
    answer = device.call("PUT", "/installedBase", {"name": "no", "version": "0"})
    assert answer.status == 404
    assert answer.json["info"] == {"entityId": {"no": "0"}, "type": "DistributionSet"}
    assert house.target("pi-1")["installed"] is None
    assert house.control.carry_out(Assign("pi-1", house.release("1.0")))["action"] == 1
