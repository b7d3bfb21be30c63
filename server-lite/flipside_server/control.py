"""The operator's side of the server: carries out orders on the store and the artifacts."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, assert_never

from flipside_server import action as actions
from flipside_server.action import Action, Change, Kind
from flipside_server.artifact_folder import ArtifactFolder
from flipside_server.contacts import Contacts
from flipside_server.credentials import checked_token, new_token, proof
from flipside_server.errors import OperatorError
from flipside_server.orders import AddArtifact, AddTarget, Answer, Assign, Cancel, Order, Show
from flipside_server.overview import overview
from flipside_server.software import (
    Artifact,
    DistributionSet,
    SoftwareModule,
    checked_filename,
    checked_metadata,
    checked_name,
)
from flipside_server.store import Store
from flipside_server.target import Target, checked_controller_id
from flipside_server.terms import Terms, Urgency, mistakes_skip

_UNDER_WAY = (actions.State.WAITING, actions.State.OPEN, actions.State.INSTALLED)


class Control:
    """Carries out orders where the data is; the only one who does."""

    def __init__(
        self,
        store: Store,
        artifacts: ArtifactFolder,
        contacts: Contacts,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._contacts = contacts
        self._clock = clock

    def carry_out(self, order: Order, upload: BinaryIO | None = None) -> Answer:
        """Do what is ordered; the upload is the file of an AddArtifact."""
        match order:
            case AddTarget():
                return self._add_target(order)
            case AddArtifact():
                return self._add_artifact(order, upload)
            case Assign():
                return self._assign(order)
            case Cancel():
                return self._cancel(order)
            case Show():
                return overview(self._store, self._contacts, order.subjects)
            case never:
                assert_never(never)

    def _add_target(self, order: AddTarget) -> Answer:
        name = checked_controller_id(order.controller_id)
        token = checked_token(order.token) if order.token else new_token()
        with self._store.exclusive():
            if self._store.count(Target, "controller_id", name):
                raise OperatorError(f"there is a target {name} already: choose another name")
            key = self._store.new_id(Target)
            self._store.save(Target(key, name, proof(token), created=self._clock()))
        return {"target": name, "token": token}

    def _add_artifact(self, order: AddArtifact, upload: BinaryIO | None) -> Answer:
        name, version = checked_name("name", order.name), checked_name("version", order.version)
        filename, metadata = checked_filename(order.filename), checked_metadata(order.metadata)
        self._refuse_known(name, version)
        if upload is None:
            raise OperatorError("the file is missing: give one to add")
        digests = self._artifacts.keep(upload, order.size)
        artifact = Artifact(
            filename, digests.size, digests.sha256, digests.sha1, digests.md5, self._clock()
        )
        with self._store.exclusive():
            self._refuse_known(name, version)
            module = SoftwareModule(
                self._store.new_id(SoftwareModule),
                name,
                version,
                artifacts=(artifact,),
                metadata=metadata,
            )
            key = self._store.new_id(DistributionSet)
            found = DistributionSet(key, name, version, modules=(module.id,))
            self._store.save(module, found)
        return {"distribution_set": found.id, "label": found.label, "sha256": artifact.sha256}

    def _refuse_known(self, name: str, version: str) -> None:
        label = f"{name}:{version}"
        if any(one.label == label for one in self._store.all(DistributionSet)):
            raise OperatorError(f"{label} exists already: give it another version")

    def _assign(self, order: Assign) -> Answer:
        with self._store.exclusive():
            target = self._target(order.controller_id)
            found = self._distribution_set(order.distribution_set)
            under_way = [one for one in self._actions(target) if not one.closed]
            for one in under_way:
                if one.distribution_set == found.id and one.state in _UNDER_WAY:
                    return {"action": one.id, "already": True}
            self._refuse_unheard(order.terms, found)
            self._replace(under_way, found)
            return {"action": self._open(target, found, order), "already": False}

    def _refuse_unheard(self, terms: Terms, found: DistributionSet) -> None:
        modules = [self._store.get(SoftwareModule, key) for key in found.modules]
        files = [file.filename for module in modules if module for file in module.artifacts]
        if terms.urgency is Urgency.DOWNLOAD_ONLY and mistakes_skip("", files):
            raise OperatorError(
                f"{found.label} is for SWUpdate, which cannot download without installing: "
                "assign it without --download-only"
            )

    def _replace(self, under_way: list[Action], by: DistributionSet) -> None:
        # As hawkBit does: the device is first asked to drop what it has, then gets the new one.
        for one in under_way:
            if one.state is not actions.State.CANCELING:
                self._save(actions.cancel(one, f"replaced by {by.label}."))

    def _open(self, target: Target, found: DistributionSet, order: Assign) -> int:
        key = self._store.new_id(Action)
        waits = order.confirm and not target.auto_confirm.active
        state = actions.State.WAITING if waits else actions.State.OPEN
        action = Action(key, target.id, found.id, state, self._clock(), terms=order.terms)
        kind = Kind.WAITING if waits else Kind.RUNNING
        self._save(Change(action, kind, (f"Update Server: {found.label} was assigned.",)))
        return key

    def _cancel(self, order: Cancel) -> Answer:
        with self._store.exclusive():
            action = self._store.get(Action, order.action)
            if action is None:
                raise OperatorError(f"there is no action {order.action}: see 'show actions'")
            reason = "the operator asked to cancel."
            change = actions.force_cancel(action) if order.force else actions.cancel(action, reason)
            self._save(change)
        return {"action": action.id}

    def _save(self, change: Change) -> None:
        entry = actions.status(self._store.new_id(actions.Status), change, self._clock())
        self._store.save(change.action, entry)

    def _target(self, controller_id: str) -> Target:
        for target in self._store.find(Target, "controller_id", controller_id):
            return target
        raise OperatorError(f"there is no target {controller_id}: see 'show targets'")

    def _actions(self, target: Target) -> list[Action]:
        return self._store.find(Action, "target", target.id)

    def _distribution_set(self, wanted: str) -> DistributionSet:
        for found in self._store.all(DistributionSet):
            if wanted in (found.label, str(found.id)):
                return found
        raise OperatorError(f"there is no distribution set {wanted}: see 'show artifacts'")
