"""What there is, as JSON: the answer to ``show``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flipside_server.action import Action, Standing, Status, standing
from flipside_server.codec import encode
from flipside_server.contacts import Contacts
from flipside_server.orders import Subject
from flipside_server.software import Artifact, DistributionSet, SoftwareModule
from flipside_server.store import Store
from flipside_server.target import Target

Document = dict[str, Any]


def overview(store: Store, contacts: Contacts, subjects: Iterable[Subject]) -> Document:
    """A list of documents for each subject. Times are milliseconds since 1970."""
    makers = {
        Subject.TARGETS: lambda: [_target(store, contacts, one) for one in store.all(Target)],
        Subject.ACTIONS: lambda: [_action(store, one) for one in store.all(Action)],
        Subject.ARTIFACTS: lambda: [_set(store, one) for one in store.all(DistributionSet)],
    }
    return {subject: makers[subject]() for subject in subjects}


def _target(store: Store, contacts: Contacts, target: Target) -> Document:
    found = store.find(Action, "target", target.id)
    installed = store.get(Action, target.installed)
    fell_back = target.fell_back
    return {
        "target": target.controller_id,
        "state": Standing.ERROR if fell_back else standing(found),
        "last_seen": contacts.last(target.controller_id),
        "installed": _label(store, installed) if installed else None,
        "shown": target.shown or None,
        "remark": _fell_back(store, target) if fell_back else None,
        "open_actions": [action.id for action in found if not action.closed],
        "attributes": dict(target.attributes),
        "auto_confirm": target.auto_confirm.active,
        "created": target.created,
    }


def _fell_back(store: Store, target: Target) -> str:
    installed = store.get(Action, target.installed)
    label = _label(store, installed) if installed else None
    return f"fell back: it shows {target.shown} although {label} was installed"


def _action(store: Store, action: Action) -> Document:
    target = store.get(Target, action.target)
    found = store.get(DistributionSet, action.distribution_set)
    statuses = store.find(Status, "action", action.id)
    return {
        "id": action.id,
        "target": target.controller_id if target else None,
        "name": found.name if found else None,
        "version": found.version if found else None,
        "state": action.state,
        "terms": encode(action.terms),
        "held_until": action.held_until or None,
        "created": action.created,
        "statuses": [_status(status) for status in statuses],
    }


def _status(status: Status) -> Document:
    return {
        "at": status.reported,
        "kind": status.kind,
        "messages": list(status.messages),
    }


def _set(store: Store, found: DistributionSet) -> Document:
    modules = [module for key in found.modules if (module := store.get(SoftwareModule, key))]
    return {
        "id": found.id,
        "name": found.name,
        "version": found.version,
        "artifacts": [_artifact(one, module) for module in modules for one in module.artifacts],
    }


def _artifact(artifact: Artifact, module: SoftwareModule) -> Document:
    return {**encode(artifact), "metadata": dict(module.metadata)}


def _label(store: Store, action: Action) -> str | None:
    found = store.get(DistributionSet, action.distribution_set)
    return found.label if found else None
