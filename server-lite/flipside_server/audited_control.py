"""The operator's side with every order noted, carried out or refused."""

from __future__ import annotations

import os
import pwd
from typing import Any, BinaryIO

from flipside_server.actor import acting, actor
from flipside_server.audited_store import AuditedStore
from flipside_server.orders import Answer, CarriesOut, Order, Show, to_document

OPERATOR = "Flipside-Operator"
"""Header in which a command tells the running server who gave it."""
_SECRETS = ("token",)


class AuditedControl:
    """Carries out orders through somebody else, and notes them; telling what there is, is none."""

    def __init__(self, control: CarriesOut, store: AuditedStore) -> None:
        self._control = control
        self._store = store

    def carry_out(self, order: Order, upload: BinaryIO | None = None) -> Answer:
        """Do what is ordered, in the name of whoever acts; else of this process's user."""
        if isinstance(order, Show):
            return self._control.carry_out(order, upload)
        document = to_document(order)
        noted = self._store.ordered(document["order"], _public(document["with"]))
        with acting(actor() or f"operator {user()}"), noted:
            return self._control.carry_out(order, upload)


def user() -> str:
    """Who runs this process, and for whom."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    behind = os.environ.get("SUDO_USER", "")
    return f"{name} for {behind}" if behind and number == 0 else name


def _public(details: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in details.items() if key not in _SECRETS and value != ""}
