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

from flipside_bootctl.errors import BootControlError, StateNotStored, Usage
from flipside_bootctl.running import COMMAND_LINE, current_slot
from flipside_bootctl.scheme import Scheme, detect, overlooked, rauc_told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HELP = """\
usage: flipside-bootctl VERB [ARGUMENT...]

  status [--json]              what boots next, and how often each slot may still be tried
  mark-active SLOT [--force]   boot this slot next, on trial unless it is confirmed
  mark-good SLOT [--force]     confirm a slot
  mark-bad SLOT [--force]      never boot a slot again until it is made active

These go through RAUC where it is configured, so that RAUC knows; --force writes at once, as do
the verbs that RAUC itself calls:

  get-primary                  the slot that boots next
  set-primary SLOT             what mark-active does
  get-state SLOT               good or bad
  set-state SLOT good|bad      what mark-good and mark-bad do
  get-current                  the slot this system runs from

For image builders:

  create ESP SLOT [ROOT]       write a fresh boot state to a mounted EFI system partition: GRUB's,
                               or with ROOT, where the slot's kernel is below, systemd-boot's

The boot scheme is found by itself: RAUC's own where system.conf has bootloader=grub, efi or uboot;
else ours, for GRUB by /efi/flipside/grub.cfg, then for systemd-boot by /efi/loader/loader.conf,
then for U-Boot by /etc/fw_env.config.

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
    try:
        count, action = VERBS[verb]
    except KeyError:
        raise Usage(f"unknown verb {verb!r}, expected one of {', '.join(VERBS)}") from None
    if len(arguments) not in count:
        wanted = " or ".join(str(number) for number in count)
        raise Usage(f"{verb} got {len(arguments)} arguments, expected {wanted}")
    return action(arguments)


def _create(arguments: list[str]) -> str:
    esp, name, *root = arguments
    esp = os.path.abspath(esp)
    if root:
        _create_systemd_boot(esp, name, *root)
        return ""
    from flipside_bootctl.grub_counted import GrubCounted

    GrubCounted(esp).create(name)
    return ""


def _create_systemd_boot(esp: str, name: str, root: str) -> None:
    from flipside_bootctl.slot_files import SlotTree
    from flipside_bootctl.systemd_boot import SystemdBoot

    SystemdBoot(esp, SlotTree(root), efivars="").create(name)


def _get_primary(_: list[str]) -> str:
    return _scheme().read_or_rebuild().next_slot() + "\n"


def _set_primary(arguments: list[str]) -> str:
    _write("active", arguments[0])
    return ""


def _get_state(arguments: list[str]) -> str:
    slot = _scheme().read_or_rebuild().slot(arguments[0])
    return "good\n" if slot.left > 0 else "bad\n"


def _set_state(arguments: list[str]) -> str:
    name, word = arguments
    if word not in ("good", "bad"):
        raise Usage(f"state {word!r}, expected good or bad")
    _write(word, name)
    return ""


def _mark(state: str) -> Callable[[list[str]], str]:
    """The verb for people: RAUC writes where there is one (ADR 12)."""

    def carry_out(arguments: list[str]) -> str:
        name, *options = arguments
        if options not in ([], ["--force"]):
            raise Usage(f"mark-{state} knows no {options[0]!r}, expected --force or nothing")
        config = rauc_told(ROOT)
        if config is None or not config.marks() or options:
            _write(state, name)
            return ""
        from flipside_bootctl import rauc

        rauc.mark(state, config.slot(name))
        return ""

    return carry_out


def _write(state: str, name: str) -> None:
    """Change the boot state, without RAUC."""
    scheme = _scheme()
    if state == "active":
        scheme.select(name)
    elif state == "bad":
        scheme.mark_bad(name)
    else:
        scheme.mark_good(name)
        if name == _current():
            _tell_the_trial_timer()


def _get_current(_: list[str]) -> str:
    name = _current()
    if not name:
        raise BootControlError(
            f"no rauc.slot= in {os.path.join(ROOT, COMMAND_LINE)}, expected it to be readable and "
            "the boot loader to say the slot"
        )
    return name + "\n"


def _current() -> str:
    """The running slot, by the kernel command line or else the firmware, as RAUC finds it."""
    name = current_slot(ROOT)
    if name or not os.path.exists(os.path.join(ROOT, "sys/firmware/efi")):
        return name
    from flipside_bootctl.efi_native import booted
    from flipside_bootctl.efivars import EfiVars

    name = booted(EfiVars(ROOT))
    return name if name in _scheme().read_or_rebuild().slots else ""


def _status(arguments: list[str]) -> str:
    if arguments not in ([], ["--json"]):
        raise Usage(f"status knows no {arguments[0]!r}, expected --json or nothing")
    from flipside_bootctl import report

    scheme = _scheme()
    state, damage = scheme.read_or_rebuild(), scheme.damage()
    seen = report.Report(scheme.capabilities, state, _current(), damage, overlooked(ROOT))
    if not arguments:
        return report.table(seen)
    import json

    return json.dumps(report.facts(seen), indent=2) + "\n"


def _scheme() -> Scheme:
    return detect(ROOT)


def _tell_the_trial_timer() -> None:
    """The trial is over: flipside-trial.service looks for this file before it reboots."""
    mark = os.path.join(ROOT, CONFIRMED)
    try:
        os.makedirs(os.path.dirname(mark), exist_ok=True)
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o644))
    except OSError as error:
        raise StateNotStored(
            f"{mark}: {error.strerror}, expected to tell the timer of the trial that the slot is "
            "confirmed"
        ) from error


VERBS: dict[str, tuple[tuple[int, ...], Callable[[list[str]], str]]] = {
    "status": ((0, 1), _status),
    "mark-active": ((1, 2), _mark("active")),
    "mark-good": ((1, 2), _mark("good")),
    "mark-bad": ((1, 2), _mark("bad")),
    "get-primary": ((0,), _get_primary),
    "set-primary": ((1,), _set_primary),
    "get-state": ((1,), _get_state),
    "set-state": ((2,), _set_state),
    "get-current": ((0,), _get_current),
    "create": ((2, 3), _create),
}
