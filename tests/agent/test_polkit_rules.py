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
const [source, questions] = JSON.parse(require("fs").readFileSync(0));
eval(source);
const answer = ([id, details, user]) => rules[0]({id, lookup: key => details[key]}, {user});
process.stdout.write(JSON.stringify(questions.map(answer)));
"""

Question = tuple[str, dict[str, str], str]
CHECK = "flipside-check@wanted-x.service"


def _unit(unit: str, verb: str, user: str = "flipside") -> Question:
    return (UNITS, {"unit": unit, "verb": verb}, user)


YES: list[Question] = [
    _unit(r"flipside-check@required-10\x2dnetwork.service", "start"),
    _unit(CHECK, "stop"),
    (LOGIN + "reboot", {}, "flipside"),
    (LOGIN + "reboot-multiple-sessions", {}, "flipside"),
]
NO: list[Question] = [
    _unit(CHECK, "restart"),
    _unit(CHECK, "set-property"),
    _unit("flipside-check@../ssh.service", "start"),
    _unit("flipside-check@x.service\nssh.service", "start"),
    _unit("x-flipside-check@x.service", "start"),
    _unit("flipside-agent.service", "restart"),
    _unit("ssh.service", "stop"),
    _unit(CHECK, "start", user="nobody"),
    (UNITS, {}, "flipside"),
    (LOGIN + "reboot-ignore-inhibit", {}, "flipside"),
    (LOGIN + "power-off", {}, "flipside"),
    (LOGIN + "reboot", {}, "nobody"),
]


def test_the_agent_may_run_its_checks_and_reboot_and_nothing_else() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, which runs polkit's rules here (apt install nodejs)")
    answer = subprocess.run(
        [node, "-e", POLKITD],
        input=json.dumps([RULES.read_text(), YES + NO]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout) == ["yes"] * len(YES) + ["not handled"] * len(NO)
