"""One batch as one run of bytes: a header that names its blocks, and the blocks, compressed together.

    magic 4 bytes · version u1 · codec u1 · unused u2 · length of header u4 · length of blocks u8 · header · blocks

The header is a msgpack list of [name, layout digest, rows, bytes]. Rows stand in a block word by word (all first
words, all second words ...): neighbours are alike, so they compress to a fraction. Everything is little-endian.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from millicent.charging.journal.errors import JournalDamaged
from millicent.charging.journal.layouts import in_layout, layout_digest
from millicent.charging.types import ANSWER, CHARGE, COMMAND, MOVEMENT, NOTICE, Batch, RowImages, Rows

MAGIC = b"MCJ1"
VERSION = 1
CHECKSUM_BYTES = 16
_HEAD = struct.Struct("<4sBBHIQ")
_CODECS: Final[Mapping[int, str]] = {1: "lz4_raw", 2: "zstd"}
_CODEC = 1
_WORD = 8
_LAYOUTS: Final = {
    "commands": COMMAND,
    "answers": ANSWER,
    "movements": MOVEMENT,
    "charges": CHARGE,
    "notices": NOTICE,
}
_IMAGE_ROWS, _IMAGES = "rows:", "images:"

LayoutFor = Callable[[int], "np.dtype[Any]"]
Block = tuple[str, int, int, bytes]  # name, layout digest (0: none), rows, content


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A batch ready for the journal. `layouts` are those its blocks need, by digest."""

    payload: bytes
    layouts: Mapping[int, "np.dtype[Any]"]


def encode_batch(batch: Batch) -> Encoded:
    """Everything of a batch, in one payload. Empty blocks are left out."""
    blocks = list(_blocks(batch))
    layouts = {layout_digest(rows.dtype): rows.dtype for rows in _row_arrays(batch)}
    header = msgspec.msgpack.encode([(name, digest, count, len(part)) for name, digest, count, part in blocks])
    body = b"".join(part for *_, part in blocks)
    head = _HEAD.pack(MAGIC, VERSION, _CODEC, 0, len(header), len(body))
    return Encoded(payload=b"".join((head, header, _compress(body))), layouts=layouts)


def _row_arrays(batch: Batch) -> Iterator[Rows]:
    for name in _LAYOUTS:
        if len(getattr(batch, name)):
            yield getattr(batch, name)
    for image in batch.images:
        if len(image.rows):
            yield image.images


def _blocks(batch: Batch) -> Iterator[Block]:
    for name in _LAYOUTS:
        rows = getattr(batch, name)
        if len(rows):
            yield name, layout_digest(rows.dtype), len(rows), _by_words(rows)
    if batch.texts:
        yield "texts", 0, 0, bytes(batch.texts)
    if batch.names:
        yield "names", 0, len(batch.names), msgspec.msgpack.encode(list(batch.names))
    for image in batch.images:
        if len(image.rows):
            yield _IMAGE_ROWS + image.table, 0, len(image.rows), image.rows.astype("<i8", copy=False).tobytes()
            images = image.images
            yield _IMAGES + image.table, layout_digest(images.dtype), len(images), _by_words(images)


def _by_words(rows: Rows) -> bytes:
    width = rows.dtype.itemsize
    if width % _WORD:
        return rows.tobytes()
    words = np.ascontiguousarray(rows).view("<u8").reshape(len(rows), width // _WORD)
    return words.T.tobytes()


def _from_words(content: memoryview, dtype: "np.dtype[Any]", count: int) -> Rows:
    if dtype.itemsize % _WORD:
        return np.frombuffer(content, dtype, count).copy()
    words = np.frombuffer(content, "<u8").reshape(dtype.itemsize // _WORD, count)
    rows: Rows = np.ascontiguousarray(words.T).reshape(-1).view(dtype)
    return rows


def _compress(body: bytes) -> bytes:
    compressed: bytes = pa.compress(body, codec=_CODECS[_CODEC], asbytes=True) if body else b""
    return compressed


def decode_batch(payload: bytes, *, layout_for: LayoutFor) -> Batch:
    """The batch that was journalled, its commands and answers in the layouts of today.

    Images keep the layout that they were journalled in: the shard knows what became of its tables.
    """
    parts = _parts(payload)
    rows = {name: _rows_of(parts, name, layout_for=layout_for) for name in _LAYOUTS}
    texts = bytes(parts["texts"][2]) if "texts" in parts else b""
    return Batch(**rows, texts=texts, names=_names_of(parts), images=_images_of(parts, layout_for=layout_for))


def decode_images(payload: bytes, *, layout_for: LayoutFor) -> tuple[list[RowImages], list[tuple[str, int, str]]]:
    """Only what replay needs: images and names."""
    parts = _parts(payload)
    return _images_of(parts, layout_for=layout_for), _names_of(parts)


Parts = dict[str, tuple[int, int, memoryview]]  # name -> layout digest, rows, content


def _parts(payload: bytes) -> Parts:
    if len(payload) < _HEAD.size:
        raise JournalDamaged(f"a journalled batch has {len(payload)} bytes")
    magic, version, codec, _, header_length, body_length = _HEAD.unpack_from(payload)
    if magic != MAGIC or version != VERSION or codec not in _CODECS:
        raise JournalDamaged(f"a journalled batch of format {magic!r} {version} {codec} cannot be read by this program")
    start = _HEAD.size + header_length
    header = msgspec.msgpack.decode(payload[_HEAD.size : start], type=list[tuple[str, int, int, int]])
    compressed = memoryview(payload)[start:]
    body = memoryview(pa.decompress(compressed, body_length, codec=_CODECS[codec]) if body_length else b"")
    parts: Parts = {}
    offset = 0
    for name, digest, count, length in header:
        parts[name] = (digest, count, body[offset : offset + length])
        offset += length
    return parts


def _rows_of(parts: Parts, name: str, *, layout_for: LayoutFor) -> Rows:
    if name not in parts:
        return np.zeros(0, _LAYOUTS[name])
    digest, count, content = parts[name]
    return in_layout(_from_words(content, layout_for(digest), count), _LAYOUTS[name])


def _names_of(parts: Parts) -> list[tuple[str, int, str]]:
    if "names" not in parts:
        return []
    return msgspec.msgpack.decode(parts["names"][2], type=list[tuple[str, int, str]])


def _images_of(parts: Parts, *, layout_for: LayoutFor) -> list[RowImages]:
    found = []
    for name, (_, _, content) in parts.items():
        if name.startswith(_IMAGE_ROWS):
            table = name.removeprefix(_IMAGE_ROWS)
            digest, count, images = parts[_IMAGES + table]
            rows = np.frombuffer(content, "<i8").astype(np.int64)
            found.append(RowImages(table=table, rows=rows, images=_from_words(images, layout_for(digest), count)))
    return found


def payload_checksum(payload: bytes, *, shard: int, sequence: int) -> bytes:
    """What a row of the journal must say of itself: of its content and of its place."""
    digest = blake2b(payload, digest_size=CHECKSUM_BYTES)
    digest.update(struct.pack("<qq", shard, sequence))
    return digest.digest()
