"""What ``status`` says of a machine, for programs and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flipside_bootctl.state import BootState, Capabilities, Slot


class Report(NamedTuple):
    """One look at a machine."""

    capabilities: Capabilities
    state: BootState
    current: str
    damage: str
    overlooked: Sequence[str]

    def next(self) -> str:
        """The slot that boots next; empty if none has attempts left."""
        order = self.state.order()
        return next((name for name in order if self.state.slot(name).left > 0), "")


def facts(report: Report) -> dict[str, object]:
    """Everything, as JSON takes it."""
    return {
        "scheme": report.capabilities.scheme,
        "capabilities": report.capabilities._asdict(),
        "current": report.current,
        "next": report.next(),
        "damage": report.damage,
        "overlooked": list(report.overlooked),
        "slots": {
            name: {"left": slot.left, "confirmed": slot.confirmed}
            for name, slot in sorted(report.state.slots.items())
        },
    }


def table(report: Report) -> str:
    """The same in lines."""
    lines = [f"scheme   {report.capabilities.scheme}", *_promises(report.capabilities)]
    lines += [_line(report, name, slot) for name, slot in sorted(report.state.slots.items())]
    if report.damage:
        lines.append(f"damaged  {report.damage}")
    lines += [f"ignored  /{place}, which belongs to another scheme" for place in report.overlooked]
    return "\n".join(lines) + "\n"


def _line(report: Report, name: str, slot: Slot) -> str:
    word = "confirmed" if slot.confirmed else "on trial" if slot.left else "bad"
    counted = report.capabilities.confirmed_attempts or not slot.confirmed
    left = f"{slot.left} left" if counted else "stays"
    marked = (("current", report.current), ("next", report.next()))
    marks = ", ".join(mark for mark, slot_name in marked if slot_name == name)
    return f"slot {name}   {word:9}  {left}  {marks}".rstrip()


def _promises(caps: Capabilities) -> list[str]:
    boots = "1 boot" if caps.trial_attempts == 1 else f"{caps.trial_attempts} boots"
    once = ", beside the stored order" if caps.try_once else ""
    kept = f"{caps.confirmed_attempts} boots" if caps.confirmed_attempts else "boots not counted"
    owed = ", each to be confirmed" if caps.confirm_every_boot else ""
    return [
        f"trial    {boots}{once}; a power cycle {caps.power_cycle}",
        f"then     {kept}{owed}",
    ]
