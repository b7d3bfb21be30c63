"""The pytest plugin, as a user's pytest runs it; the devices are models of QEMU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

CONFTEST = """
    import sys
    from pathlib import Path

    import pytest
    from flipside_qemu.cache import Cache
    from flipside_qemu.emulator import Emulator
    from flipside_qemu.pytest_plugin import Bench
    from models import qemu_program

    @pytest.fixture(scope="session")
    def flipside_bench(tmp_path_factory):
        command = (sys.executable, "-I", "-S", qemu_program.__file__)
        place = Path(__file__).parent
        emulator = Emulator(command, qemu_program.IMG, place / "CODE.fd", place / "VARS.fd")
        bench = Bench(emulator, Cache(place, print), 1.0, tmp_path_factory)
        yield bench
        bench.release()
    """


def run_pytest(directory: Path, tests: str, *options: str) -> str:
    """What a pytest of its own says about these tests."""
    (directory / "VARS.fd").write_bytes(b"variables")
    disk = {"slot": "A", "b_installed": True, "snapshots": {}}
    (directory / "disk.raw").write_text(json.dumps(disk))
    (directory / "conftest.py").write_text(textwrap.dedent(CONFTEST))
    (directory / "test_image.py").write_text(textwrap.dedent(tests))
    command = [sys.executable, "-m", "pytest", "-p", "flipside_qemu.pytest_plugin", "-rs"]
    # Without the plugins of the environment: this one is there already where it is installed.
    environment = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.run(
        [*command, *options],
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_devices_of_ones_own_and_a_shared_one(tmp_path: Path) -> None:
    said = run_pytest(
        tmp_path,
        """
        pids = set()

        def test_own(flipside_device):
            flipside_device.boot()
            flipside_device.shell.check("rauc status mark-active other")
            flipside_device.reboot()
            assert flipside_device.booted_slot() == "B"

        def test_another(flipside_device):
            flipside_device.boot()
            assert flipside_device.booted_slot() == "A"

        def test_shared(flipside_ready):
            pids.add(flipside_ready.pid)
            flipside_ready.shell.check("rauc status mark-active other")
            flipside_ready.reboot()

        def test_shared_is_put_back(flipside_ready):
            pids.add(flipside_ready.pid)
            assert flipside_ready.booted_slot() == "A"
            assert len(pids) == 1
        """,
        "--flipside-disk=disk.raw",
    )
    assert "4 passed" in said


def test_a_failure_shows_the_console_and_the_next_test_gets_another_device(tmp_path: Path) -> None:
    said = run_pytest(
        tmp_path,
        """
        def test_waits_in_vain(flipside_ready):
            flipside_ready.shell.wait_for("never", within=0.1)

        def test_next(flipside_ready):
            assert flipside_ready.booted_slot() == "A"
        """,
        "--flipside-disk=disk.raw",
    )
    assert "1 failed, 1 passed" in said
    assert re.search(r"-+ Console of the device -+\n(.*\n)*.*Booting slot A", said)
    assert "DeadlineError: the device did not show `never` within 0 s" in said


def test_without_a_disk_its_tests_are_skipped_and_others_run(tmp_path: Path) -> None:
    said = run_pytest(
        tmp_path,
        """
        def test_image(flipside_device):
            pass

        def test_other():
            pass
        """,
    )
    assert "1 passed, 1 skipped" in said
    assert "needs --flipside-disk, an image to test" in said


def test_loading_it_loads_nothing_heavy() -> None:
    program = "import sys, flipside_qemu.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert [name for name in loaded if name.startswith(("flipside", "rich"))] == [
        "flipside_qemu",
        "flipside_qemu.pytest_plugin",
    ]
