"""What passes over the shard's socket: frames of a length, a kind, a number that ties an answer to its question.

    length of content u4 · kind u1 · three bytes of nothing · number u4 · content

Rows travel as they lie in memory; both ends compare the layouts of rows in HELLO before anything else is said.
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, unique
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from millicent.charging.journal.layouts import layout_digest
from millicent.charging.types import ANSWER, COMMAND, NOTICE, Rows
from millicent.kit.errors import Refusal

VERSION = 1
LARGEST_FRAME = 64 * 1024 * 1024
_LONGEST_SOCKET_PATH = 107  # sun_path of Linux, less its closing zero
_HEAD = struct.Struct("<IB3xI")
_COUNT = struct.Struct("<I")
HEAD_BYTES: Final = _HEAD.size


@unique
class Kind(IntEnum):
    HELLO = 1  # from the server, first of all: version, layouts, epoch
    SUBMIT = 2
    ANSWERS = 3
    REFUSED = 4  # instead of any answer: code and message
    NAME = 5
    NUMBER = 6
    LISTEN = 7  # a door wants its notices
    NOTICES = 8  # from the server, without a question; its number is the door that listens
    LOOK = 9  # read-only questions of people
    SEEN = 10


class WrongFrame(Refusal):
    """The other end of the shard's socket speaks another language, or another version of it."""

    code = "charging_wrong_frame"


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    number: int
    content: bytes


def socket_path(home: Path, *, tenant: str, shard: int = 0) -> Path:
    """Where a tenant's shard listens. A home whose path is too long for a socket gets a short name in /tmp."""
    path = home / "charging" / (f"{tenant}.sock" if shard == 0 else f"{tenant}-{shard}.sock")
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    short = blake2b(os.fsencode(path), digest_size=8).hexdigest()
    return Path(f"/tmp/millicent-{os.getuid()}") / f"{short}.sock"  # noqa: S108 - the folder is made private


def frame(kind: Kind, number: int, content: bytes = b"") -> bytes:
    return _HEAD.pack(len(content), kind, number) + content


def split_frames(received: bytearray) -> list[Frame]:
    """Take every complete frame out of what was received; the rest stays for the next bytes."""
    start = 0
    found: list[Frame] = []
    while len(received) - start >= HEAD_BYTES:
        length, kind, number = _HEAD.unpack_from(received, start)
        if length > LARGEST_FRAME:
            raise WrongFrame(f"a frame of {length} bytes is too large")
        end = start + HEAD_BYTES + length
        if len(received) < end:
            break
        found.append(Frame(kind, number, bytes(received[start + HEAD_BYTES : end])))
        start = end
    del received[:start]
    return found


def hello(*, epoch: int, shard: int) -> bytes:
    return json.dumps({"version": VERSION, "epoch": epoch, "shard": shard, "layouts": _layouts()}).encode()


def read_hello(content: bytes) -> int:
    """The epoch of the other end. Raises WrongFrame when its rows do not look like ours."""
    said: Mapping[str, Any] = json.loads(content)
    if said.get("version") != VERSION or said.get("layouts") != _layouts():
        raise WrongFrame("the charging process runs another version of this program: restart the older of the two")
    return int(said["epoch"])


def _layouts() -> dict[str, int]:
    return {"command": layout_digest(COMMAND), "answer": layout_digest(ANSWER), "notice": layout_digest(NOTICE)}


def pack_submission(commands: Rows, texts: bytes) -> bytes:
    return b"".join((_COUNT.pack(len(commands)), commands.tobytes(), texts))


def unpack_submission(content: bytes) -> tuple[Rows, bytes]:
    """Commands and their texts; every text lies within what came."""
    rows, rest = _rows_at_front(content, COMMAND)
    ends = rows["text_offset"].astype(np.int64) + rows["text_length"]
    if len(rows) and int(ends.max()) > len(rest):
        raise WrongFrame("a command's text lies outside of its frame")
    return rows, rest


def pack_notices(notices: Rows, texts: Sequence[str]) -> bytes:
    return b"".join((_COUNT.pack(len(notices)), notices.tobytes(), msgspec.msgpack.encode(list(texts))))


def unpack_notices(content: bytes) -> tuple[Rows, list[str]]:
    rows, rest = _rows_at_front(content, NOTICE)
    return rows, msgspec.msgpack.decode(rest, type=list[str])


def unpack_answers(content: bytes) -> Rows:
    rows: Rows = np.frombuffer(content, ANSWER).copy()
    return rows


def _rows_at_front(content: bytes, dtype: "np.dtype[Any]") -> tuple[Rows, bytes]:
    if len(content) < _COUNT.size:
        raise WrongFrame("a frame ends before its count")
    (count,) = _COUNT.unpack_from(content)
    end = _COUNT.size + count * dtype.itemsize
    if end > len(content):
        raise WrongFrame(f"a frame ends before its {count} rows")
    rows: Rows = np.frombuffer(content, dtype, count, _COUNT.size).copy()
    return rows, content[end:]
