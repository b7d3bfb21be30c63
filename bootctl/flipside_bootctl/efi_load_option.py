"""A boot entry of UEFI firmware, ``Boot####``: a name for people, and what is to be started.

Format: UEFI specification, "EFI_LOAD_OPTION" and "Device Path Protocol": attributes, the length of
the device path, a description in UCS-2 that ends with a NUL, the path's nodes, and data for the
program that is started. All numbers are little endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flipside_bootctl.errors import DamagedState

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIVE = 1
"""Attribute: the firmware may boot the entry by itself."""
_HEADER, _NODE = 6, 4
_MEDIA, _HARD_DRIVE, _FILE = 4, 1, 4
_GPT, _GUID = 2, 2


class Node(NamedTuple):
    """One step of a device path."""

    kind: int
    subkind: int
    data: bytes


END = Node(0x7F, 0xFF, b"")


class LoadOption(NamedTuple):
    """What an entry says."""

    attributes: int
    description: str
    """Half a surrogate pair stays as it is (PEP 383), so that nothing of it is lost."""
    path: tuple[Node, ...]
    """Every node, the ends among them."""
    data: bytes = b""

    def active(self) -> bool:
        """Whether the firmware may boot it by itself."""
        return bool(self.attributes & ACTIVE)


def decode(block: bytes) -> LoadOption:
    """What an entry says; raises DamagedState where its lengths do not fit."""
    if len(block) < _HEADER:
        raise DamagedState(f"boot entry of {len(block)} bytes, expected {_HEADER} at least")
    length = int.from_bytes(block[4:_HEADER], "little")
    end = _terminator(block)
    description = block[_HEADER:end].decode("utf-16-le", "surrogatepass")
    nodes, data = block[end + 2 : end + 2 + length], block[end + 2 + length :]
    if len(nodes) != length:
        raise DamagedState(f"boot entry with a path of {len(nodes)} bytes, expected {length}")
    return LoadOption(int.from_bytes(block[:4], "little"), description, tuple(_nodes(nodes)), data)


def encode(option: LoadOption) -> bytes:
    """The entry in bytes."""
    path = b"".join(_node(node) for node in option.path)
    header = option.attributes.to_bytes(4, "little") + len(path).to_bytes(2, "little")
    return header + _text(option.description) + path + option.data


def partition(number: int, start: int, size: int, guid: bytes) -> Node:
    """The node of a GPT partition: its number, first block, length in blocks, and identity."""
    place = number.to_bytes(4, "little") + start.to_bytes(8, "little") + size.to_bytes(8, "little")
    return Node(_MEDIA, _HARD_DRIVE, place + guid + bytes((_GPT, _GUID)))


def file(path: str) -> Node:
    r"""The node of a file, such as ``\EFI\flipside.efi``."""
    return Node(_MEDIA, _FILE, _text(path))


def _terminator(block: bytes) -> int:
    for at in range(_HEADER, len(block) - 1, 2):
        if block[at : at + 2] == b"\0\0":
            return at
    raise DamagedState("boot entry whose description does not end, expected a NUL")


def _nodes(path: bytes) -> Iterator[Node]:
    while path:
        length = int.from_bytes(path[2:_NODE], "little")
        if not _NODE <= length <= len(path):
            raise DamagedState(f"boot entry with a node of {length} bytes, {len(path)} are left")
        yield Node(path[0], path[1], path[_NODE:length])
        path = path[length:]


def _node(node: Node) -> bytes:
    length = (_NODE + len(node.data)).to_bytes(2, "little")
    return bytes((node.kind, node.subkind)) + length + node.data


def _text(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"
