"""The boot state of a device with systemd-boot, as entries on its EFI system partition.

systemd-boot counts by renaming them; which slot runs is said by the kernel command line alone,
because ``LoaderBootCountPath`` names the wrong entry after one that could not be loaded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flipside_bootctl import boot_entries, entry_directory, entry_text, flushed, state
from flipside_bootctl.boot_entries import Entry
from flipside_bootctl.entry_directory import CONFIG, ENTRIES, Listing
from flipside_bootctl.errors import DamagedState, SlotUnreadable, StateNotStored
from flipside_bootctl.state import BootState, Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flipside_bootctl.slot_files import SlotFiles

MARK = "# Flipside"
"""How the loader.conf of this scheme begins."""
TEMPLATE = "boot/entry.conf"
_VARIABLES = ("LoaderEntryDefault", "LoaderEntryOneShot")
_GUID = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def has_scheme(esp: str | os.PathLike[str]) -> bool:
    """Whether an EFI system partition boots by this scheme."""
    try:
        with open(os.path.join(esp, CONFIG), encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(MARK)
    except OSError:
        return False


class SystemdBoot:
    """Boot control through counted entries, whose sequence says which slot goes first."""

    def __init__(self, esp: str | os.PathLike[str], slots: SlotFiles, efivars: str) -> None:
        """Take where the partition is mounted, where the slots' kernels are, and efivarfs."""
        self._esp = os.fspath(esp)
        self._slots = slots
        self._efivars = efivars

    @property
    def capabilities(self) -> Capabilities:
        """Three boots on trial, nine for a confirmed slot, each boot to be confirmed."""
        return boot_entries.CAPABILITIES

    def read(self) -> BootState:
        """The stored state; raises DamagedState if no slot has an entry."""
        return boot_entries.from_entries(entry_directory.read(self._esp).entries)

    def read_or_rebuild(self) -> BootState:
        """The stored state, or, where that is damaged, the one that the rescue entry makes."""
        try:
            listing = entry_directory.read(self._esp)
        except DamagedState:
            listing = Listing()
        return _state(listing.entries)

    def damage(self) -> str:
        """What is damaged, or goes before the counters, in one sentence; empty if nothing."""
        said = [*entry_directory.overrides(self._esp), *self._variables()]
        try:
            listing = entry_directory.read(self._esp)
            said += listing.complaints()
            boot_entries.from_entries(listing.entries)
        except DamagedState as error:
            said.append(str(error))
        return "; ".join(said)

    def select(self, name: str) -> None:
        """Copy a slot's kernel, compare it, and only then make the slot the next one to boot."""
        _state(self._repaired()).slot(name)
        text = self._installed(name)
        entries = self._entries()
        slot = state.select(_state(entries), name, self.capabilities).slot(name)
        self._put(boot_entries.selecting(entries, name, slot, text))

    def mark_good(self, name: str) -> None:
        """Give a slot its nine attempts; if it boots next, the rescue entry names it too."""
        entries = self._repaired()
        _state(entries).slot(name)
        self._confirm(name, _text_of(entries, name) or self._installed(name))

    def mark_bad(self, name: str) -> None:
        """Never boot a slot again until it is selected anew."""
        entries = self._repaired()
        _state(entries).slot(name)
        self._move_rescue(entries, name)
        if own := boot_entries.of_slot(entries, name):
            self._put(boot_entries.bad(own))

    def create(self, name: str) -> None:
        """Write a fresh boot state in which only this slot is bootable, and confirmed.

        Where an image is made: nothing of it is safe from a power cut.
        """
        boot_entries.rebuilt("A").slot(name)
        # All of them: a cut while a directory is made may leave it on a cluster that is free.
        for directory in (ENTRIES, *map(entry_text.folder, boot_entries.NAMES)):
            flushed.make_directory(os.path.join(self._esp, directory))
        listing = entry_directory.read(self._esp)
        self._remove((*listing.entries, *listing.junk()))
        self._confirm(name, self._installed(name))

    @property
    def _directory(self) -> str:
        return os.path.join(self._esp, ENTRIES)

    def _entries(self) -> tuple[Entry, ...]:
        return entry_directory.read(self._esp).entries

    def _variables(self) -> list[str]:
        return [
            f"EFI variable {name} goes before all counters, expected it not to be set"
            for name in _VARIABLES
            if os.path.exists(os.path.join(self._efivars, f"{name}-{_GUID}"))
        ]

    def _repaired(self) -> tuple[Entry, ...]:
        """Our entries, after what a cut left beside them is gone.

        A rename that a cut tore over two sectors leaves two names on one cluster, which belongs to
        nobody once one of them is removed. So whatever reads the same is written anew first.
        """
        flushed.make_directory(self._directory)
        listing = entry_directory.read(self._esp)
        junk, kept = listing.junk(), boot_entries.kept(listing.entries)
        doubtful = {entry.text for entry in junk}
        flushed.write(
            self._directory, {entry.file: entry.text for entry in kept if entry.text in doubtful}
        )
        self._remove(junk)
        for entry in boot_entries.restored(kept):
            self._put(entry)
        return self._entries()

    def _installed(self, name: str) -> str:
        """Have a slot's kernel on the partition, byte for byte; the text of the slot's entry."""
        target = os.path.join(self._esp, entry_text.folder(name))
        flushed.make_directory(target)
        with self._slots.opened(name) as root:
            text = _rendered(os.path.join(root, TEMPLATE), name)
            pairs = {
                os.path.join(root, "boot", file): os.path.join(target, file)
                for file in entry_text.files(text)
            }
            if not all(flushed.same(*pair) for pair in pairs.items()):
                self._withdraw(name)
                flushed.keep_only(target, pairs.values())
            for source, copy in pairs.items():
                flushed.copy(source, copy)
        return text

    def _withdraw(self, name: str) -> None:
        """Let no entry name the kernel of a slot, because it is about to be overwritten."""
        self._move_rescue(self._entries(), name)
        entries = [entry for entry in self._entries() if entry.name.slot == name]
        if boot_entries.rescue_of(entries):
            raise StateNotStored(
                f"slot {name} is the only one that boots, expected the other one to be confirmed "
                "before this one's kernel is replaced"
            )
        self._remove(entries)

    def _move_rescue(self, entries: Sequence[Entry], name: str) -> None:
        """Let the rescue entry name the other slot, if that one may boot at all."""
        rescuing = boot_entries.rescue_of(entries)
        if rescuing and rescuing.name.slot != name:
            return
        for other in boot_entries.NAMES:
            own = boot_entries.of_slot(entries, other)
            if other != name and own and own.may_boot:
                self._put(boot_entries.rescue(other, own.text))

    def _confirm(self, name: str, text: str) -> None:
        self._put(boot_entries.confirming(self._entries(), name, text))
        entries = self._entries()
        if not boot_entries.rescue_of(entries) or _state(entries).next_slot() == name:
            self._put(boot_entries.rescue(name, text))

    def _put(self, wanted: Entry) -> None:
        """Write an entry, unless it is there, and then take away those that it stands for."""
        entries = self._entries()
        if wanted in entries:
            flushed.settle(self._directory)
        else:
            flushed.write(self._directory, {wanted.file: wanted.text})
        self._remove(entry for entry in entries if _stands_for(wanted, entry))

    def _remove(self, entries: Iterable[Entry]) -> None:
        flushed.remove(self._directory, [entry.file for entry in entries])


def _stands_for(new: Entry, old: Entry) -> bool:
    if new.file == old.file or new.is_rescue != old.is_rescue:
        return False
    return new.is_rescue or new.name.slot == old.name.slot


def _state(entries: Sequence[Entry]) -> BootState:
    try:
        return boot_entries.from_entries(entries)
    except DamagedState:
        rescuing = boot_entries.rescue_of(entries)
        return boot_entries.rebuilt(rescuing.name.slot if rescuing else "A")


def _text_of(entries: Sequence[Entry], name: str) -> str:
    """The text of an entry for this slot; empty if there is none."""
    entry = boot_entries.first(entry for entry in entries if entry.name.slot == name)
    return entry.text if entry else ""


def _rendered(template: str, name: str) -> str:
    try:
        with open(template, encoding="utf-8") as file:
            return entry_text.rendered(file.read(), name)
    except OSError as error:
        raise SlotUnreadable(f"{template}: {error.strerror}, expected a boot entry") from error
    except (DamagedState, UnicodeDecodeError) as error:
        raise SlotUnreadable(f"{template}: {error}") from error
