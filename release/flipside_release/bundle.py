"""Makes a RAUC bundle of format `verity` from one image.

The image is read once, in pieces, and is never in memory; see `layout` for what comes out.
The bundle grows in a hidden directory beside its place and is renamed into it when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from flipside_release import cms, layout, manifest
from flipside_release.certificates import Identity
from flipside_release.errors import OperatorError, WorkstationError
from flipside_release.manifest import Image, Manifest, Verity
from flipside_release.squashfs import squashfs
from flipside_release.verity import BLOCK_SIZE, hash_tree

INNER_MANIFEST: Final = "manifest.raucm"
_CHUNK: Final = 1024 * 1024
_ENDINGS: Final = {
    ".img": ".img",
    ".raw": ".img",
    ".erofs": ".img",
    ".ext4": ".ext4",
    ".vfat": ".vfat",
    ".squashfs": ".squashfs",
    ".ubifs": ".ubifs",
}
"""From an image's ending to the one that RAUC knows it by (src/update_handler.c); `.img` is raw.

Archives and compressed images are left out on purpose: as raw images they would be written to the
slot as they are.
"""

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many have been read."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make a bundle of, and where."""

    image: Path
    output: Path
    compatible: str
    version: str
    description: str | None
    slot_class: str
    level: int
    """Of zstd, 1 (quick) to 22 (small)."""
    overwrite: bool


def check(recipe: Recipe) -> None:
    """Refuse what cannot become a bundle before a passphrase is asked for or a byte is packed."""
    manifest.check_value("--compatible", recipe.compatible)
    manifest.check_value("--version", recipe.version)
    if recipe.description is not None:
        manifest.check_value("--description", recipe.description)
    manifest.check_slot_class(recipe.slot_class)
    _name_in_bundle(recipe)
    _size(recipe.image)
    if recipe.output.exists() and not recipe.overwrite:
        raise OperatorError(f"{recipe.output} exists: give another --output, or --overwrite.")
    if not recipe.output.parent.is_dir():
        raise OperatorError(f"{recipe.output.parent} is no directory: expected one for the bundle.")


def build(recipe: Recipe, signer: Identity, progress: Progress) -> None:
    """Pack, hash, sign, and put the bundle in its place."""
    try:
        with tempfile.TemporaryDirectory(
            prefix=f".{recipe.output.name}.", dir=recipe.output.parent
        ) as directory:
            growing = Path(directory) / "bundle"
            inner = _pack(recipe, growing, progress)
            with growing.open("r+b") as file:
                _finish(file, inner, signer)
            growing.replace(recipe.output)
    except OSError as error:
        raise WorkstationError(f"Cannot write {recipe.output}: {error.strerror}.") from error


def _pack(recipe: Recipe, growing: Path, progress: Progress) -> Manifest:
    """Put the image and then its manifest, which holds its hash, into the squashfs."""
    name, size, digest = _name_in_bundle(recipe), _size(recipe.image), hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        read = 0
        for chunk in _chunks(recipe.image):
            digest.update(chunk)
            yield chunk
            read += len(chunk)
            progress(read, size)

    with squashfs(growing, recipe.level) as archive:
        archive.add(name, size, chunks())
        image = Image(recipe.slot_class, name, digest.hexdigest(), size)
        inner = Manifest(recipe.compatible, recipe.version, recipe.description, (image,))
        text = manifest.dumps(inner)
        archive.add(INNER_MANIFEST, len(text), [text])
    return inner


def _finish(file: IO[bytes], inner: Manifest, signer: Identity) -> None:
    """Append the hash tree, the signature and its size."""
    if file.seek(0, os.SEEK_END) <= BLOCK_SIZE:
        file.truncate(2 * BLOCK_SIZE)  # RAUC wants a tree, and one block has none
    file.seek(0)
    salt = manifest.salt(manifest.dumps(inner))
    tree = hash_tree(iter(lambda: file.read(BLOCK_SIZE), b""), salt)
    verity = Verity(tree.root.hex(), salt.hex(), len(tree.blocks))
    signature = cms.sign(manifest.dumps(replace(inner, verity=verity)), signer)
    file.seek(0, os.SEEK_END)
    file.write(tree.blocks + signature + layout.trailer(len(signature)))
    file.flush()
    os.fsync(file.fileno())


def _name_in_bundle(recipe: Recipe) -> str:
    """A fixed name, whatever the image is called here: it is part of what is signed."""
    ending = _ENDINGS.get(recipe.image.suffix)
    if ending is None:
        raise OperatorError(
            f"Cannot tell from the name what kind of image {recipe.image} is: expected it to end "
            f"in {', '.join(_ENDINGS)}; unpack a compressed image first."
        )
    return recipe.slot_class + ending


def _size(image: Path) -> int:
    try:
        status = image.stat()
    except OSError as error:
        raise OperatorError(f"Cannot read the image {image}: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise OperatorError(f"{image} is not a regular file: expected an image.")
    if status.st_size == 0:
        raise OperatorError(f"{image} is empty: expected an image.")
    return status.st_size


def _chunks(image: Path) -> Iterator[bytes]:
    try:
        with image.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise OperatorError(f"Cannot read the image {image}: {error.strerror}.") from error
