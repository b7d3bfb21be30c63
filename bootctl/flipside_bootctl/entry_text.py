"""The text of a boot entry: what it starts, from which slot, and whether on trial.

The Boot Loader Specification, "Type #1 Boot Loader Specification Entries". Each slot brings its
own, as ``boot/entry.conf``, because kernel arguments belong to an image and not to its loader.
``@slot@`` in it stands for the slot in lower case, ``@SLOT@`` for its bootname. The files that it
names lie under the same names in the slot's ``boot``.
"""

from __future__ import annotations

from flipside_bootctl.errors import DamagedState

TRIAL = "options flipside.trial=1\n"
"""First line of an entry on trial, so that a text which lost its end does not pass as confirmed."""
END = "# end of entry\n"
_INITRD = "initrd"
_PATHS = ("linux", "devicetree")
_KEYS = (*_PATHS, "title", "version", "options")


def rendered(template: str, slot: str) -> str:
    """The text of a slot's entry, not on trial, from its template."""
    lines = [_as_argument(line) for line in template.splitlines() if not line.startswith("#")]
    text = "".join(f"{line}\n" for line in lines) + END
    text = text.replace("@slot@", slot.lower()).replace("@SLOT@", slot)
    check(text, slot)
    if is_trial(text):
        raise DamagedState("flipside.trial= stands in the template, expected it to be left to us")
    return text


def on_trial(text: str) -> str:
    """The same entry, which tells the system that this boot is a trial."""
    return TRIAL + confirmed(text)


def confirmed(text: str) -> str:
    """The same entry, not on trial."""
    return text.removeprefix(TRIAL)


def is_trial(text: str) -> bool:
    """Whether the system is told that this boot is a trial."""
    return any(word.startswith("flipside.trial=") for word in _arguments(text))


def fields(text: str) -> list[tuple[str, str]]:
    """Keys and values, as systemd-boot reads them."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def folder(slot: str) -> str:
    """Where on the partition a slot's kernel lies."""
    return f"flipside/{slot.lower()}"


def files(text: str) -> list[str]:
    """Names of the files that are loaded."""
    return [path.rpartition("/")[2] for _, path in _paths(text)]


def check(text: str, slot: str) -> None:
    """Raise DamagedState unless this is a whole entry that starts this slot and nothing else."""
    pairs = fields(text)
    keys = [key for key, _ in pairs]
    if not text.endswith(END):
        raise DamagedState("its end is missing")
    if keys.count("linux") != 1:
        raise DamagedState("expected one line that names a kernel with linux")
    for key in keys:
        if key not in _KEYS:
            raise DamagedState(f"key {key!r}, expected one of {', '.join(_KEYS)}")
    for key, path in _paths(text):
        if path.rpartition("/")[0] != f"/{folder(slot)}":
            raise DamagedState(f"{key} is {path!r}, expected a file in /{folder(slot)}")
    said = [word for word in _arguments(text) if word.startswith("rauc.slot=")]
    if said != [f"rauc.slot={slot}"]:
        raise DamagedState(f"options say {said}, expected rauc.slot={slot} once")


def _as_argument(line: str) -> str:
    """An initrd as an argument, so that the kernel loads it; any other line as it is.

    Once systemd-boot 257.13 has loaded an initrd and cannot load the kernel, the firmware crashes
    instead of taking the next attempt (docs/adr/0011-systemd-boot.md).
    """
    words = line.split()
    if words[:1] != [_INITRD] or len(words) != 2:
        return line
    path = words[1].replace("/", "\\")
    return f"options {_INITRD}={path}"


def _paths(text: str) -> list[tuple[str, str]]:
    """What names the files that are loaded, and their paths on the partition."""
    named = [(key, value) for key, value in fields(text) if key in _PATHS]
    words = [word.partition("=") for word in _arguments(text)]
    return named + [(key, path.replace("\\", "/")) for key, _, path in words if key == _INITRD]


def _arguments(text: str) -> list[str]:
    return [word for key, value in fields(text) if key == "options" for word in value.split()]
