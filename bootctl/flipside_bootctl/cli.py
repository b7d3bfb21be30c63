"""``flipside-bootctl``: boot state for people, and RAUC's custom bootloader backend.

RAUC calls the five verbs ``get-primary``, ``set-primary``, ``get-state``, ``set-state`` and
``get-current`` (RAUC integration.rst, "Custom Bootloader Backend Interface"): stdout carries the
answer and nothing else, stderr is free, any exit code but 0 is a failure.

RAUC starts this program several times in one installation, on slow boards too, so it imports
only what the verb needs: no argparse, no json unless asked for, and nowhere in this room pathlib
or dataclasses, which together took more than half of its time.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from flipside_bootctl.errors import BootControlError, Usage
from flipside_bootctl.running import current_slot
from flipside_bootctl.scheme import Scheme, detect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HELP = """\
usage: flipside-bootctl VERB [ARGUMENT...]

  status [--json]            what boots next, and how often each slot may still be tried
  get-primary                the slot that boots next
  set-primary SLOT           boot this slot next, on trial unless it is confirmed
  get-state SLOT             good or bad
  set-state SLOT good|bad    confirm a slot, or never boot it again
  get-current                the slot this system runs from
  create ESP SLOT [ROOT]     write a fresh boot state to a mounted EFI system partition;
                             systemd-boot takes the slot's kernel from below ROOT

The boot scheme is found by itself: GRUB's by /efi/flipside/grub.cfg, systemd-boot's by
/efi/loader/loader.conf, U-Boot's by /etc/fw_env.config.

Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage.
"""

ROOT: str | os.PathLike[str] = "/"
CONFIRMED = "run/flipside/confirmed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one verb; the exit code says how it went."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in ([], ["--help"], ["-h"], ["help"]):
        sys.stdout.write(HELP)
        return 0 if words else 2
    try:
        answer = _run(words[0], words[1:])
    except Usage as error:
        return _complain(error, 2)
    except BootControlError as error:
        return _complain(error, 1)
    sys.stdout.write(answer)
    return 0


def _complain(error: BootControlError, code: int) -> int:
    sys.stderr.write(f"flipside-bootctl: {error}\n")
    return code


def _run(verb: str, arguments: list[str]) -> str:
    if verb == "create":
        return _create(arguments)
    try:
        count, action = VERBS[verb]
    except KeyError:
        raise Usage(f"unknown verb {verb!r}, expected one of {', '.join(VERBS)}") from None
    if len(arguments) not in count:
        wanted = " or ".join(str(number) for number in count)
        raise Usage(f"{verb} got {len(arguments)} arguments, expected {wanted}")
    return action(arguments)


def _create(arguments: list[str]) -> str:
    if len(arguments) == 3:
        return _create_systemd_boot(*arguments)
    if len(arguments) != 2:
        raise Usage("create expects the mounted EFI system partition and a slot")
    from flipside_bootctl.grub_counted import GrubCounted

    GrubCounted(arguments[0]).create(arguments[1])
    return ""


def _create_systemd_boot(esp: str, name: str, root: str) -> str:
    from flipside_bootctl.slot_files import SlotTree
    from flipside_bootctl.systemd_boot import SystemdBoot

    SystemdBoot(esp, SlotTree(root), efivars="").create(name)
    return ""


def _get_primary(_: list[str]) -> str:
    return _scheme().read_or_rebuild().next_slot() + "\n"


def _set_primary(arguments: list[str]) -> str:
    _scheme().select(arguments[0])
    return ""


def _get_state(arguments: list[str]) -> str:
    slot = _scheme().read_or_rebuild().slot(arguments[0])
    return "good\n" if slot.left > 0 else "bad\n"


def _set_state(arguments: list[str]) -> str:
    name, word = arguments
    if word not in ("good", "bad"):
        raise Usage(f"state {word!r}, expected good or bad")
    scheme = _scheme()
    if word == "bad":
        scheme.mark_bad(name)
        return ""
    scheme.mark_good(name)
    if name == current_slot(ROOT):
        _tell_the_trial_timer()
    return ""


def _get_current(_: list[str]) -> str:
    name = current_slot(ROOT)
    if not name:
        raise BootControlError(
            "/proc/cmdline has no rauc.slot=, expected the boot loader to say it"
        )
    return name + "\n"


def _status(arguments: list[str]) -> str:
    if arguments not in ([], ["--json"]):
        raise Usage(f"status knows no {arguments[0]!r}, expected --json or nothing")
    facts = _facts(_scheme())
    return _json(facts) if arguments else _table(facts)


def _facts(scheme: Scheme) -> dict[str, object]:
    state = scheme.read_or_rebuild()
    return {
        "scheme": scheme.capabilities.scheme,
        "current": current_slot(ROOT),
        "next": next((name for name in state.order() if state.slot(name).left > 0), ""),
        "damage": scheme.damage(),
        "slots": {
            name: {"left": slot.left, "confirmed": slot.confirmed}
            for name, slot in sorted(state.slots.items())
        },
    }


def _json(facts: dict[str, object]) -> str:
    import json

    return json.dumps(facts, indent=2) + "\n"


def _table(facts: dict[str, object]) -> str:
    lines = [f"scheme   {facts['scheme']}"]
    slots = facts["slots"]
    assert isinstance(slots, dict)
    for name, slot in slots.items():
        state = "confirmed" if slot["confirmed"] else "on trial" if slot["left"] else "bad"
        marks = [mark for mark in ("current", "next") if facts[mark] == name]
        lines.append(f"slot {name}   {state:9}  {slot['left']} left  {', '.join(marks)}".rstrip())
    if facts["damage"]:
        lines.append(f"damaged  {facts['damage']}")
    return "\n".join(lines) + "\n"


def _scheme() -> Scheme:
    return detect(ROOT)


def _tell_the_trial_timer() -> None:
    """The trial is over: flipside-trial.service looks for this file before it reboots."""
    mark = os.path.join(ROOT, CONFIRMED)
    os.makedirs(os.path.dirname(mark), exist_ok=True)
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o644))


VERBS: dict[str, tuple[tuple[int, ...], Callable[[list[str]], str]]] = {
    "status": ((0, 1), _status),
    "get-primary": ((0,), _get_primary),
    "set-primary": ((1,), _set_primary),
    "get-state": ((1,), _get_state),
    "set-state": ((2,), _set_state),
    "get-current": ((0,), _get_current),
}
