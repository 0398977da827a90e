"""A moving window over a file: blocks of bounded size, with what is left of one block in front of the next."""

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from millicent.kit.kernels import UInt8s

UTF8_MARK = b"\xef\xbb\xbf"


class Window:
    """`buffer[begin:]` is what has not been decoded yet; `offset` is where it lies in the file."""

    def __init__(self, stream: BinaryIO, *, offset: int, block_bytes: int) -> None:
        self._stream = stream
        self._block_bytes = block_bytes
        stream.seek(offset)
        self._room: UInt8s = np.empty(0, np.uint8)
        self.buffer: UInt8s = self._room
        self.begin = 0
        self.final = False
        self._base = offset

    @property
    def offset(self) -> int:
        return self._base + self.begin

    def offset_of(self, position: int) -> int:
        return self._base + position

    def raw(self, start: int, end: int) -> bytes:
        return self.buffer[start:end].tobytes()

    @property
    def empty(self) -> bool:
        return self.begin >= self.buffer.size

    def read_more(self) -> None:
        """Put the next block behind what is left. `final` becomes true when the file has no more."""
        rest = self.buffer.size - self.begin
        if self._room.size < rest + self._block_bytes:
            larger = np.empty(rest + self._block_bytes, np.uint8)
            larger[:rest] = self.buffer[self.begin :]
            self._room = larger
        else:
            self._room[:rest] = self.buffer[self.begin :].copy()
        self._base += self.begin
        self.begin = 0
        filled = rest + self._fill(rest, rest + self._block_bytes)
        self.final = filled < rest + self._block_bytes
        self.buffer = self._room[:filled]

    def _fill(self, begin: int, end: int) -> int:
        """Read until the room is full or the file ends: a remote file may give less than it is asked for."""
        filled = begin
        while filled < end:
            read = self._read_into(filled, end)
            if read == 0:
                break
            filled += read
        return filled - begin

    def _read_into(self, begin: int, end: int) -> int:
        readinto = getattr(self._stream, "readinto", None)
        if readinto is not None:
            return int(readinto(self._room[begin:end].data) or 0)
        read = self._stream.read(end - begin)
        self._room[begin : begin + len(read)] = np.frombuffer(read, np.uint8)
        return len(read)


def windows(stream: BinaryIO, *, offset: int, block_bytes: int) -> Iterator[Window]:
    """Yield the same window after each block was read, until nothing is left. The caller moves `begin`.

    A caller that takes nothing from a window gets a larger one; kernels bound how long they ask for more.
    """
    window = Window(stream, offset=offset, block_bytes=block_bytes)
    while True:
        window.read_more()
        if window.empty:
            return
        yield window
        if window.final:
            return


def text_start(stream: BinaryIO, start_offset: int) -> int:
    """Where text begins: behind the byte order mark at the front of the file."""
    if start_offset > 0:
        return start_offset
    stream.seek(0)
    return len(UTF8_MARK) if stream.read(len(UTF8_MARK)) == UTF8_MARK else 0
