"""Blocking calls beside the main loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread of its own and return what it returns.

    Not ``asyncio.to_thread``: the interpreter waits for that one's threads when it ends, and a
    name server that says nothing would hold up a restart of the agent.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # handed over whole to whoever awaits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="worker", daemon=True).start()
    return await asyncio.wrap_future(future)
