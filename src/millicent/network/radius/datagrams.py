"""A UDP socket that takes and sends many datagrams in one call: recvmmsg(2) and sendmmsg(2).

One datagram a call is what bounds a Python server otherwise. Linux on 64 bits.
"""

import ctypes
import socket
from collections.abc import Sequence
from errno import EAGAIN, EINTR, ENOBUFS
from typing import Final, NamedTuple

import numpy as np

from millicent.kit.kernels import Int64s, UInt8s
from millicent.network.radius.words import LARGEST_PACKET

AT_ONCE: Final = 256
_ADDRESS_BYTES: Final = 28  # sockaddr_in6
_BUFFER_BYTES: Final = 4 * 1024 * 1024
_VECTOR: Final = np.dtype([("base", "u8"), ("size", "u8")])
_MESSAGE: Final = np.dtype(
    [("name", "u8"), ("name_bytes", "u4"), ("", "u4"), ("vectors", "u8"), ("vector_count", "u8"), ("control", "u8"),
     ("control_bytes", "u8"), ("flags", "i4"), ("", "u4"), ("size", "u4"), ("", "u4")]
)  # fmt: skip
_C: Final = ctypes.CDLL(None, use_errno=True)


class Arrivals(NamedTuple):
    """Datagrams as they came. The bytes are good until the next `receive`."""

    datagrams: UInt8s  # [n, LARGEST_PACKET]
    sizes: Int64s  # [n]
    senders: Sequence[bytes]  # [n] raw socket addresses: equal bytes, equal sender


class Messages:
    """Room for so many datagrams, wired together as the kernel wants it. Addresses in memory never move."""

    def __init__(self) -> None:
        self.content = np.zeros((AT_ONCE, LARGEST_PACKET), np.uint8)
        self.names = np.zeros((AT_ONCE, _ADDRESS_BYTES), np.uint8)
        self.vectors = np.zeros(AT_ONCE, _VECTOR)
        self.messages = np.zeros(AT_ONCE, _MESSAGE)
        rows = np.arange(AT_ONCE, dtype=np.uint64)
        self.vectors["base"] = self.content.ctypes.data + rows * LARGEST_PACKET
        self.messages["name"] = self.names.ctypes.data + rows * _ADDRESS_BYTES
        self.messages["vectors"] = self.vectors.ctypes.data + rows * _VECTOR.itemsize
        self.messages["vector_count"] = 1
        self.address = self.messages.ctypes.data


class DatagramSocket:
    """A socket bound to an address and port; with `shared`, other workers may bind the same."""

    def __init__(self, address: str, port: int, *, shared: bool = False) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if shared:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind((address, port))
        self.port: int = self.socket.getsockname()[1]
        self._in, self._out = Messages(), Messages()

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def receive(self) -> Arrivals:
        """Everything that waits, up to AT_ONCE; nothing where nothing does."""
        room = self._in
        room.vectors["size"] = LARGEST_PACKET
        room.messages["name_bytes"] = _ADDRESS_BYTES
        flags = socket.MSG_DONTWAIT
        count = _C.recvmmsg(self.fileno(), ctypes.c_void_p(room.address), AT_ONCE, flags, None)
        count = max(count, 0)  # nothing waits, or an ICMP error of an earlier send: either way nothing came
        used = room.messages["name_bytes"][:count].tolist()
        names = room.names[:count].tobytes()
        senders = [names[at * _ADDRESS_BYTES : at * _ADDRESS_BYTES + size] for at, size in enumerate(used)]
        return Arrivals(room.content[:count], room.messages["size"][:count].astype(np.int64), senders)

    def send(self, packets: Sequence[bytes], receivers: Sequence[bytes]) -> int:
        """Send each packet to the raw address beside it. What the kernel has no room for is lost, as UDP may."""
        sent = 0
        for start in range(0, len(packets), AT_ONCE):
            sent += self._send_some(packets[start : start + AT_ONCE], receivers[start : start + AT_ONCE])
        return sent

    def _send_some(self, packets: Sequence[bytes], receivers: Sequence[bytes]) -> int:
        room, count = self._out, len(packets)
        content, names = room.content.data.cast("B"), room.names.data.cast("B")
        for row, (packet, receiver) in enumerate(zip(packets, receivers, strict=True)):
            content[row * LARGEST_PACKET : row * LARGEST_PACKET + len(packet)] = packet
            names[row * _ADDRESS_BYTES : row * _ADDRESS_BYTES + len(receiver)] = receiver
        room.vectors["size"][:count] = [len(packet) for packet in packets]
        room.messages["name_bytes"][:count] = [len(receiver) for receiver in receivers]
        done = 0
        while done < count:
            at = ctypes.c_void_p(room.address + done * _MESSAGE.itemsize)
            sent = _C.sendmmsg(self.fileno(), at, count - done, socket.MSG_DONTWAIT)
            if sent < 0:
                fault = ctypes.get_errno()
                if fault in (EAGAIN, ENOBUFS):
                    break
                sent = 0 if fault == EINTR else 1  # a receiver that cannot be reached keeps nobody else waiting
            done += sent
        return done


def address_text(sender: bytes) -> str:
    """The address of a raw socket address: sockaddr_in or sockaddr_in6."""
    family = int(np.frombuffer(sender[:2], np.uint16)[0])
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sender[4:8])
    return socket.inet_ntop(socket.AF_INET6, sender[8:24])
