"""One device and its server, kept for many tests as they stood at their first rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from models.flight import Flight

READY = "ready"
AT_REST = (
    "until journalctl -b -u flipside-agent -o cat | grep -q 'flipside: idle'; do sleep 1; done"
)


class Hangar:
    """Puts a device back instead of booting another one; a second instead of a minute."""

    def __init__(
        self,
        built: Callable[[], AbstractContextManager[Flight]],
        prepare: Callable[[Flight], None],
    ) -> None:
        self._built = built
        self._prepare = prepare
        self._stay = ExitStack()
        self._flight: Flight | None = None
        self._failures = 0

    def ready(self, failures: int) -> Flight:
        """The device at its first rest, and another one if more tests have failed since.

        A test that fails may leave its server dead and its console in the middle of a sentence.
        """
        if self._flight is None or failures != self._failures:
            self._flight, self._failures = self._another(), failures
        self._flight.device.restore(READY)
        return self._flight

    def close(self) -> None:
        """Switch everything off."""
        self._stay.close()

    def _another(self) -> Flight:
        self.close()
        flight = self._stay.enter_context(self._built())
        flight.device.boot()
        self._prepare(flight)
        flight.device.shell.check(AT_REST, within=120)
        flight.device.snapshot(READY)
        return flight
