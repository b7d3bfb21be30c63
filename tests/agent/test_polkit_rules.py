"""What polkit lets the agent do, by running its rule as the JavaScript that it is.

polkitd 126 itself was asked the same questions once and answered the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "agent" / "polkit" / "50-flipside.rules"
UNITS = "org.freedesktop.systemd1.manage-units"
LOGIN = "org.freedesktop.login1."

POLKITD = """
const rules = [];
const polkit = {Result: {YES: "yes", NOT_HANDLED: "not handled"}, addRule: r => rules.push(r)};
const [source, id, details, user] = JSON.parse(require("fs").readFileSync(0));
eval(source);
const action = {id, lookup: key => details[key]};
process.stdout.write(rules[0](action, {user}));
"""


def _result(action: str, details: dict[str, str], user: str = "flipside") -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, which runs polkit's rules here (apt install nodejs)")
    question = json.dumps([RULES.read_text(), action, details, user])
    return subprocess.run(
        [node, "-e", POLKITD], input=question, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("unit", "verb", "answer"),
    [
        (r"flipside-check@required-10\x2dnetwork.service", "start", "yes"),
        (r"flipside-check@wanted-x.service", "stop", "yes"),
        (r"flipside-check@wanted-x.service", "restart", "not handled"),
        (r"flipside-check@wanted-x.service", "set-property", "not handled"),
        (r"flipside-check@../ssh.service", "start", "not handled"),
        ("flipside-check@x.service\nssh.service", "start", "not handled"),
        ("x-flipside-check@x.service", "start", "not handled"),
        ("flipside-agent.service", "restart", "not handled"),
        ("ssh.service", "stop", "not handled"),
    ],
)
def test_only_checks_may_be_run(unit: str, verb: str, answer: str) -> None:
    assert _result(UNITS, {"unit": unit, "verb": verb}) == answer


def test_a_question_without_a_unit_is_not_ours() -> None:
    assert _result(UNITS, {}) == "not handled"


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ("reboot", "yes"),
        ("reboot-multiple-sessions", "yes"),
        ("reboot-ignore-inhibit", "not handled"),
        ("power-off", "not handled"),
    ],
)
def test_reboot_is_all_that_logind_grants(action: str, answer: str) -> None:
    assert _result(LOGIN + action, {}) == answer


def test_nobody_else_gains_anything() -> None:
    unit = {"unit": "flipside-check@wanted-x.service", "verb": "start"}
    assert _result(UNITS, unit, user="nobody") == "not handled"
    assert _result(LOGIN + "reboot", {}, user="nobody") == "not handled"
