"""What the device tells a hawkBit server: bodies of feedback, cancellation and attributes."""

from __future__ import annotations

from collections.abc import Mapping

from flipside_agent.ddi import shown
from flipside_agent.update import Outcome, Verdict

LONGEST_DETAIL = 512
"""Characters of a message; hawkBit splits longer ones."""

LONGEST_SENTENCE = 4096
"""Characters; two of them stay well below the 50 messages that hawkBit takes at once."""

LONGEST_ATTRIBUTE = 128
"""Characters of an attribute's key or value; hawkBit refuses longer ones."""


def progress(sentence: str) -> dict[str, object]:
    """Return the body that says how far an action has come."""
    return _feedback("proceeding", "none", sentence)


def result(outcome: Outcome) -> dict[str, object]:
    """Return the body that closes an action."""
    failed = outcome.verdict is Verdict.FAILURE
    # A cancellation is confirmed by a success: hawkBit takes no "canceled" for it.
    return _feedback("closed", "failure" if failed else "success", *_reasons(outcome))


def cancellation(*, accepted: bool, reason: str) -> dict[str, object]:
    """Return the body that answers a cancellation: confirmed, or not possible any more."""
    if accepted:
        return _feedback("closed", "success", reason)
    return _feedback("rejected", "none", reason)


def _reasons(outcome: Outcome) -> list[str]:
    check = [f"health check: {outcome.check}"] if outcome.check else []
    return [outcome.reason, *check]


def _feedback(execution: str, finished: str, *sentences: str) -> dict[str, object]:
    details = [
        sentence[at : at + LONGEST_DETAIL]
        for sentence in sentences
        for at in range(0, min(len(sentence), LONGEST_SENTENCE), LONGEST_DETAIL)
    ]
    return {
        "status": {
            "execution": execution,
            "result": {"finished": finished},
            "details": details,
        }
    }


def attributes(known: Mapping[str, str]) -> dict[str, object]:
    """Return the body that tells the server what this device is."""
    data = {
        shown(key, LONGEST_ATTRIBUTE): shown(value, LONGEST_ATTRIBUTE)
        for key, value in known.items()
    }
    return {"mode": "replace", "data": data}
