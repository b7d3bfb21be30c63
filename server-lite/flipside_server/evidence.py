"""The device's views of what it is and runs: configData and installedBase."""

from __future__ import annotations

import logging
from dataclasses import replace

from bottle import HTTPResponse

from flipside_server import target as targets
from flipside_server import verdict
from flipside_server.action import Action, Change, Kind, State
from flipside_server.errors import MalformedError, UnknownError
from flipside_server.software import DistributionSet
from flipside_server.store import Record
from flipside_server.target import Target
from flipside_server.visit import Desk, Visit, done

_log = logging.getLogger(__name__)


def put_attributes(desk: Desk, visit: Visit) -> HTTPResponse:
    """PUT configData: a held success may show itself in it, or a fallback."""
    document = visit.document()
    with desk.store.exclusive():
        before = desk.own_target(visit)
        described = targets.described(before, document)
        shown = verdict.version(described.attributes, desk.settings.hold.attributes)
        target = replace(described, shown=shown)
        records: list[Record] = []
        for action in desk.own_actions(visit):
            change = verdict.judged(action, desk.versions(action), shown)
            if change is not None:
                records += desk.entered(visit, action, change)
                target = replace(targets.updated(target, action.id), wants_attributes=False)
        target, noted = _compared(desk, visit, target)
        if records or noted or target != before:
            desk.store.save(target, *records, *noted)
    _log.info("attributes target=%s", target.controller_id)
    return done()


def _compared(desk: Desk, visit: Visit, target: Target) -> tuple[Target, tuple[Record, ...]]:
    """The target once what it shows is compared with what it installed, and what is noted of it."""
    installed = desk.store.get(Action, target.installed)
    if installed is None:
        return target, ()
    versions = desk.versions(installed)
    if target.shown in versions:
        return replace(target, proven=installed.id, fell_back=False), ()
    proven = target.proven == installed.id
    earlier = () if proven else _earlier(desk, installed)
    fell_back = verdict.fallen_back(versions, earlier, target.shown, proven=proven)
    if not fell_back or target.fell_back:
        return replace(target, fell_back=fell_back), ()
    message = f"Update Server: the device fell back: it shows {target.shown} again."
    noted = desk.entered(visit, installed, Change(installed, Kind.WARNING, (message,)))
    return replace(target, fell_back=True), noted


def _earlier(desk: Desk, installed: Action) -> set[str]:
    """The versions that the target had before this action."""
    found = desk.store.find(Action, "target", installed.target)
    ended = (one for one in found if one.id < installed.id and one.state is State.FINISHED)
    return {version for action in ended for version in desk.versions(action)}


def put_installed(desk: Desk, visit: Visit) -> HTTPResponse:
    """PUT installedBase: the device says which distribution set it runs now."""
    name, version = _named(visit.document())
    with desk.store.exclusive():
        found = _distribution_set(desk, name, version)
        before = desk.own_target(visit)
        records, runs = _settled(desk, visit, found)
        runs = runs or _installed(desk, before, found)
        made = [] if runs else _made(desk, visit, found)
        if made:
            runs = made[0].id
        target = replace(before, installed=runs, proven=runs, shown=version, fell_back=False)
        if made or records or target != before:
            desk.store.save(target, *records, *made)
    return done(201 if made else 200)


def _settled(desk: Desk, visit: Visit, found: DistributionSet) -> tuple[list[Record], int]:
    """What becomes of the open actions, and which of them brought what runs now; 0 if none."""
    records: list[Record] = []
    runs = 0
    for action in desk.own_actions(visit):
        change = verdict.declared(action, found.id, found.label)
        if change is not None:
            records += desk.entered(visit, action, change)
            runs = action.id if change.action.state is State.FINISHED else runs
    return records, runs


def _installed(desk: Desk, target: Target, found: DistributionSet) -> int:
    """The last action that ended well, if it brought this set; else 0."""
    installed = desk.store.get(Action, target.installed)
    return installed.id if installed and installed.distribution_set == found.id else 0


def _made(desk: Desk, visit: Visit, found: DistributionSet) -> list[Record]:
    """An action that is over: what was installed by other ways."""
    key = desk.store.new_id(Action)
    action = Action(key, visit.target.id, found.id, State.FINISHED, visit.now)
    message = f"Update Server: the device says that it runs {found.label}."
    return [action, *desk.entered(visit, action, Change(action, Kind.FINISHED, (message,)))]


def _named(document: object) -> tuple[str, str]:
    given = document if isinstance(document, dict) else {}
    name, version = given.get("name"), given.get("version")
    if not (isinstance(name, str) and isinstance(version, str)):
        raise MalformedError("installedBase needs the name and version of a distribution set")
    return name, version


def _distribution_set(desk: Desk, name: str, version: str) -> DistributionSet:
    for found in desk.store.all(DistributionSet):
        if (found.name, found.version) == (name, version):
            return found
    raise UnknownError(
        "there is no such distribution set", entityId={name: version}, type="DistributionSet"
    )
