"""The faults by value: scripts that a shell understands, units that are started."""

from __future__ import annotations

import subprocess

import pytest

from flipside_qemu import faults
from flipside_qemu.tree import File, Layer
from flipside_qemu.units import enabled

LAYERS: dict[str, Layer] = {
    "kernel_panic": faults.kernel_panic(),
    "hanging": faults.hanging(),
    "lost_root": faults.lost_root(),
    "destroyed_init": faults.destroyed_init(),
    "stuck_unit": faults.stuck_unit(),
    "frozen_init": faults.frozen_init(watchdog=15),
    "missing_python": faults.missing_python(),
    "dead_bus": faults.dead_bus(),
    "refused_data": faults.refused_data(),
    "broken_agent": faults.broken_agent(),
    "silent_agent": faults.silent_agent(),
    "failing_check": faults.failing_check("radio", "no carrier"),
    "hanging_check": faults.hanging_check("radio", deadline=20),
    "hesitant_check": faults.hesitant_check("radio", "no carrier yet"),
    "resetting_check": faults.resetting_check("radio"),
}


def files(layer: Layer) -> dict[str, File]:
    return {path: entry for path, entry in layer.items() if isinstance(entry, File)}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_script_is_shell_and_may_be_executed(layer: Layer) -> None:
    for path, file in files(layer).items():
        if file.content.startswith(b"#!/bin/sh\n"):
            subprocess.run(["sh", "-n"], input=file.content, check=True, timeout=10)
            assert file.mode == 0o755, path


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_no_two_faults_are_the_same_and_each_one_changes_something(layer: Layer) -> None:
    assert layer
    assert [other for other in LAYERS.values() if other == layer] == [layer]


@pytest.mark.parametrize("layer", [LAYERS["stuck_unit"], LAYERS["frozen_init"]])
def test_early_units_are_started_before_everything_else(layer: Layer) -> None:
    (link,) = enabled(layer)
    assert link.startswith("usr/lib/systemd/system/sysinit.target.wants/")


def test_a_short_trial_keeps_the_fault() -> None:
    layer = faults.short_trial(faults.stuck_unit(), 30)
    assert layer.items() > faults.stuck_unit().items()
    (timer,) = set(files(layer)) - set(faults.stuck_unit())
    assert files(layer)[timer].content == b"[Timer]\nOnBootSec=\nOnBootSec=30s\n"


def test_rights_of_a_check_are_those_of_its_own_unit() -> None:
    layer = faults.hesitant_check("radio", "no carrier yet")
    unit = "usr/lib/systemd/system/flipside-check@required-radio.service.d/rights.conf"
    assert set(layer) == {"etc/flipside/health.d/required/radio", unit}
