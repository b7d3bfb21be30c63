"""What lies in a partition's ``loader`` directory: our entries, and what stands in their way."""

from __future__ import annotations

import os
from typing import NamedTuple

from flipside_bootctl import boot_entries, boot_entry, entry_text, flushed, loader_order
from flipside_bootctl.boot_entries import Entry
from flipside_bootctl.errors import DamagedState
from flipside_bootctl.loader_order import Candidate

ENTRIES = "loader/entries"
CONFIG = "loader/loader.conf"
IMAGES = "EFI/Linux"


class Listing(NamedTuple):
    """What was found."""

    entries: tuple[Entry, ...] = ()
    """Ours, which systemd-boot lists."""
    broken: tuple[tuple[Entry, str], ...] = ()
    """Ours by name, and why it does not list them or should not."""
    leftovers: tuple[Entry, ...] = ()
    """Files that were to be renamed."""
    foreign: tuple[tuple[str, Candidate], ...] = ()
    """Somebody else's entries and images, which it lists among ours."""

    def junk(self) -> list[Entry]:
        """Ours, and to be removed: leftovers, broken ones, and what a newer entry stands for."""
        kept = boot_entries.kept(self.entries)
        superseded = [entry for entry in self.entries if entry not in kept]
        return [*self.leftovers, *(entry for entry, _ in self.broken), *superseded]

    def complaints(self) -> list[str]:
        """What of it is damaged or in the way, a sentence each."""
        said = [f"{entry.file}: {why}" for entry, why in self.broken]
        for entry in self.entries:
            if entry.name.left is None and not entry.is_rescue:
                said.append(
                    f"{entry.file}: has no counter, expected systemd-bless-boot to be masked"
                )
        rescuing = boot_entries.rescue_of(self.entries)
        if not rescuing:
            said.append(f"{ENTRIES}: no rescue entry, expected the next confirmation to write one")
        elif not boot_entries.of_slot(self.entries, rescuing.name.slot):
            slot = rescuing.name.slot
            said.append(f"{ENTRIES}: no entry for slot {slot} but the rescue entry, expected two")
        ours = boot_entries.first(self.entries)
        for path, candidate in self.foreign:
            if not ours or loader_order.compare(candidate, ours.candidate) < 0:
                said.append(f"{path}: boots before the entries of Flipside")
        return said


def read(esp: str) -> Listing:
    """What lies there; raises DamagedState where there is no such directory."""
    entries, broken, leftovers, foreign = [], [], [], []
    for file in _names(os.path.join(esp, ENTRIES)):
        text = _text(os.path.join(esp, ENTRIES, file))
        if flushed.is_temporary(file):
            leftovers.append(Entry(file, text))
        elif not file.lower().endswith(boot_entry.SUFFIX):
            continue
        elif not _is_ours(file):
            if candidate := _candidate(esp, file, text):
                foreign.append((f"{ENTRIES}/{file}", candidate))
        elif why := _fault(esp, Entry(file, text)):
            broken.append((Entry(file, text), why))
        else:
            entries.append(Entry(file, text))
    return Listing(tuple(entries), tuple(broken), tuple(leftovers), (*foreign, *_images(esp)))


def overrides(esp: str) -> list[str]:
    """Lines of loader.conf that name what is booted whatever the counters say."""
    lines = entry_text.fields(_text(os.path.join(esp, CONFIG)))
    return [
        f"{CONFIG}: {key} {value!r} goes before all counters, expected no such line"
        for key, value in lines
        if key in ("default", "preferred")
    ]


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        raise DamagedState(f"{directory}: {error.strerror}") from error


def _text(path: str) -> str:
    """What a file holds; nothing if it cannot be read, as for the boot loader."""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except OSError:
        return ""


def _is_ours(file: str) -> bool:
    try:
        boot_entry.parse(file)
    except DamagedState:
        return False
    return True


def _fault(esp: str, entry: Entry) -> str:
    """Why an entry of ours cannot be used; empty if it can."""
    slot = entry.name.slot
    try:
        entry_text.check(entry.text, slot)
    except DamagedState as error:
        return str(error)
    if entry.is_rescue and entry_text.is_trial(entry.text):
        return "is on trial, expected the rescue entry to be confirmed"
    for file in entry_text.files(entry.text):
        path = os.path.join(entry_text.folder(slot), file)
        if not os.path.isfile(os.path.join(esp, path)):
            return f"{path} is not there"
    return ""


def _candidate(esp: str, file: str, text: str) -> Candidate | None:
    """The place of somebody else's entry; None if systemd-boot does not list it."""
    said = dict(entry_text.fields(text))
    kernel = said.get("linux") or said.get("efi")
    if not kernel or not os.path.isfile(os.path.join(esp, kernel.lstrip("/\\").replace("\\", "/"))):
        return None
    counter = boot_entry.counted(file)
    words = (said.get(key, "") for key in ("sort-key", "machine-id", "version"))
    return Candidate(counter, *words)


def _images(esp: str) -> list[tuple[str, Candidate]]:
    """Unified kernel images. They bring a sort-key within, which no entry of ours has."""
    try:
        files = sorted(os.listdir(os.path.join(esp, IMAGES)))
    except OSError:
        return []
    return [
        (f"{IMAGES}/{file}", Candidate(_image_counter(file), sort_key=file))
        for file in files
        if file.lower().endswith(".efi")
    ]


def _image_counter(file: str) -> boot_entry.Counter:
    return boot_entry.counted(file[: -len(".efi")] + boot_entry.SUFFIX)
