"""The files of a release as one run of bytes: the same files give the same bytes, whatever the machine.

First line: a JSON list of [path, length, SHA-256], sorted by path. Then the contents, one after the other.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping

from millicent.kit.errors import Defect

_LEVEL = 6


class ArchiveDamaged(Defect):
    """The stored files of a release are not what was stored."""

    code = "release_archive_damaged"


def pack(files: Mapping[str, bytes]) -> bytes:
    """Canonical bytes, not yet compressed. Their SHA-256 names the content of a release."""
    paths = sorted(files)
    index = [[path, len(files[path]), hashlib.sha256(files[path]).hexdigest()] for path in paths]
    head = json.dumps(index, ensure_ascii=True, separators=(",", ":")).encode()
    return b"\n".join((head, b"".join(files[path] for path in paths)))


def unpack(packed: bytes) -> dict[str, bytes]:
    head, _, contents = packed.partition(b"\n")
    files: dict[str, bytes] = {}
    place = 0
    for path, length, digest in json.loads(head):
        files[path] = contents[place : place + length]
        place += length
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise ArchiveDamaged(f"file {path} of a stored release has changed", path=path)
    return files


def digest_of(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()


def compress(packed: bytes) -> bytes:
    return zlib.compress(packed, _LEVEL)


def decompress(stored: bytes, *, digest: str) -> bytes:
    """Back to canonical bytes; refuses to go on with other content than was released."""
    packed = zlib.decompress(stored)
    if digest_of(packed) != digest:
        raise ArchiveDamaged("the stored content of a release has changed", digest=digest)
    return packed
