"""The life of an update on a real device: what must never break."""

from __future__ import annotations

import json

import pytest

from flipside_qemu.story import Flaw
from models.flight import Flight
from models.kits import KITS

pytestmark = [
    pytest.mark.boards(*KITS),
    pytest.mark.qemu,
    pytest.mark.timeout(3600),
]

ASK_RAUC = (
    "busctl call de.pengutronix.rauc / de.pengutronix.rauc.Installer Mark ss good booted 2>&1"
)


def test_a_good_update_lands_and_a_sick_one_is_rolled_back_with_its_reason(
    flight: Flight,
) -> None:
    shell = flight.device.shell
    identity = shell.check("cat /etc/machine-id")

    good = flight.result(flight.ship("2"))
    assert good.state == "finished", good.messages
    flight.device.boot()
    assert (flight.version(), flight.device.booted_slot()) == ("2", "B")
    assert shell.check("cat /etc/machine-id") == identity
    state = json.loads(shell.check("flipside-bootctl status --json"))
    assert state["slots"]["B"]["confirmed"]
    assert state["next"] == "B"

    assert "Access denied" in shell.run(f"setpriv --reuid nobody --clear-groups {ASK_RAUC}").output
    as_agent = f"setpriv --reuid flipside --regid flipside --clear-groups {ASK_RAUC}"
    assert "marked slot" in shell.check(as_agent)

    sick = flight.result(flight.ship("4", Flaw.SICK))
    assert sick.state == "error"
    assert "pump-answers" in sick.last_words
    assert "the pump does not answer" in sick.last_words
    flight.device.boot()
    assert (flight.version(), flight.device.booted_slot()) == ("2", "B")
    bad = json.loads(shell.check("flipside-bootctl status --json"))["slots"]["A"]
    assert bad == {"left": 0, "confirmed": False}

    as_agent = "setpriv --reuid flipside --regid flipside --clear-groups"
    landed, returned = json.loads(shell.check(f"{as_agent} flipside-agent history --json"))
    way = ("verdict", "from", "version", "slot", "check")
    assert [landed[key] for key in way] == ["success", "1", "2", "B", ""]
    assert [returned[key] for key in way] == ["failure", "2", "4", "A", "required/pump-answers"]
    assert returned["reason"] in sick.last_words
    assert landed["journal"] == []
    assert "pump-answers: the pump does not answer" in returned["journal"]
