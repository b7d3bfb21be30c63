"""A disk that is full: 507, nothing lost, and work goes on when there is room again."""

from __future__ import annotations

import pytest

from flipside_server.orders import Subject
from models.ddi_device import Device, House
from models.full_disk import full_disk


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_is_answered_with_507_and_nothing_is_lost(
    house: House, device: Device, action: int, room: int
) -> None:
    device.report(action, "proceeding", "none", "before")
    with full_disk(room):
        answer = device.report(action, "closed", "success", "x" * 400)
        assert answer.status == 507
        assert "No space left" in answer.json["message"]
        assert house.action(action)["state"] == "open"
        assert device.get().status == 200
    house.store.close()
    house.open()
    [known] = house.show(Subject.ACTIONS)
    assert known["state"] == "open"
    assert [text for entry in known["statuses"] for text in entry["messages"]][-1] == "before"
    assert device.report(action, "closed", "success").status == 200
    house.store.close()
    house.open()
    assert house.action(action)["state"] == "finished"
