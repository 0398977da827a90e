"""A port that stands for the shard, access servers, and packets as pyrad would send them."""

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from ipaddress import ip_network
from threading import Thread

import numpy as np

from millicent.charging.credentials import KeptCredential, hash_password, seal_password
from millicent.charging.types import ANSWER, NOT_SAID, NOTICE, NameKind, Result, Verb
from millicent.charging.types_map import RADIUS_CONTEXT, ServiceEntry, ServiceMap, ServiceRule, Unit
from millicent.kit.errors import Outage
from millicent.network.radius.access import Access
from millicent.network.radius.clients import NO_PROFILE, Client, RadiusSettings
from millicent.network.radius.door import RadiusDoor
from millicent.network.radius.packets import number, write_attributes
from millicent.network.radius.words import AcctStatus, Attribute, Code

SECRET = b"a-secret-of-tests"
KEY = bytes(range(32))
BROADBAND = ServiceMap(
    [ServiceRule(context=RADIUS_CONTEXT, entry=ServiceEntry(service="broadband", unit=Unit.TOTAL_OCTETS))]
)


def a_client(**changed):
    return Client(**({"name": "tower", "network": ip_network("127.0.0.0/8"), "secret": SECRET} | changed))


class FakePort:
    """Knows which sessions are open, grants what it is told to, and remembers every submission."""

    def __init__(self, *, granted=1_000, **answer):
        self.submissions = []
        self.sessions = set()
        self.names = {}
        self.told = None
        self.answer = {"granted_units": granted, "unit": Unit.TOTAL_OCTETS, "available_nanos": 5 * 10**9} | answer
        self.silent = False

    async def submit(self, commands, texts=b""):
        if self.silent:
            raise Outage("nothing can be made durable now")
        self.submissions.append((commands.copy(), texts))
        return np.array([self._answer(row) for row in commands], ANSWER)

    def _answer(self, row):
        answer = np.zeros((), ANSWER)
        answer["granted_units"] = answer["holding_seconds"] = answer["tariff_change_ms"] = NOT_SAID
        for name, value in self.answer.items():
            answer[name] = value
        key = (int(row["key_high"]), int(row["key_low"]))
        if row["verb"] == Verb.OPEN:
            self.sessions.add(key)
        elif row["verb"] in (Verb.UNITS, Verb.END) and key not in self.sessions:
            answer["result"] = Result.UNKNOWN_SESSION
        if row["verb"] == Verb.END:
            self.sessions.discard(key)
        return answer

    async def number_of(self, kind, text):
        return self.names.setdefault((NameKind(kind), text), len(self.names) + 1)

    def listen(self, door, told):
        self.told = told

    def on_restart(self, forget):
        self.forget = forget

    def commands(self):
        """Everything that was submitted, as (verb, row) in its order."""
        return [(Verb(int(row["verb"])), row) for rows, _ in self.submissions for row in rows]

    def texts(self):
        return [
            texts[row["text_offset"] : row["text_offset"] + row["text_length"]].decode()
            for rows, texts in self.submissions
            for row in rows
            if row["text_length"]
        ]


def accounting_attributes(status, *, session="81c00123", user="anna@isp", extra=(), **numbers):
    """Attributes of an Accounting-Request; `numbers` are names of `Attribute` in small letters."""
    return [
        (Attribute.ACCT_STATUS_TYPE, number(status)),
        *([(Attribute.ACCT_SESSION_ID, session.encode())] if session else []),
        *([(Attribute.USER_NAME, user.encode())] if user else []),
        (Attribute.NAS_IDENTIFIER, b"bras-1"),
        *((Attribute[name.upper()], number(value)) for name, value in numbers.items()),
        *extra,
    ]


def accounting_packet(status=AcctStatus.START, *, identifier=7, secret=SECRET, **told):
    """The bytes of an Accounting-Request without Message-Authenticator, as most access servers send it."""
    content = write_attributes(accounting_attributes(status, **told))
    header = bytes((Code.ACCOUNTING_REQUEST, identifier)) + (20 + len(content)).to_bytes(2, "big")
    return header + md5(header + bytes(16) + content + secret).digest() + content


class FakeBook:
    """One subscriber and a password."""

    def __init__(self, *, profile=NO_PROFILE, credential=None, user_name="anna@isp", is_active=True, **addresses):
        self.access = Access(
            user_name=user_name,
            subscription_id=1,
            is_active=is_active,
            offering="fibre-600",
            profile=profile,
            **addresses,
            credential=credential,
        )

    def find(self, user_name, *, now_ms):
        return self.access if user_name == self.access.user_name else None


@contextmanager
def a_door(*, port=None, book=None, services=BROADBAND, **client):
    """A whole door on free ports, in a thread with its own loop; the fake shard stands behind it."""
    port, book = port or FakePort(), book or FakeBook(credential=sealed())
    settings = RadiusSettings(clients=(a_client(**client),), authentication_port=0, accounting_port=0)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def make():
        door = RadiusDoor(port=port, settings=settings, services=services, book=book, sealing_key=KEY)
        await door.open()
        return door

    door = run(make())
    try:
        yield Running(door=door, port=port, loop=loop)
    finally:
        run(door.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class Running:
    door: RadiusDoor
    port: FakePort
    loop: asyncio.AbstractEventLoop

    def notify(self, kind, session_text, *, key=(0, 0)):
        """A durable notice of the shard."""
        notices = np.zeros(1, NOTICE)
        notices["kind"] = kind
        notices["session_high"], notices["session_low"] = key
        self.loop.call_soon_threadsafe(self.port.told, notices, [session_text])


def sealed(password="s3cret-of-anna"):
    return KeptCredential(sealed=True, secret=seal_password(password, key=KEY))


def hashed(password="s3cret-of-anna"):
    return KeptCredential(sealed=False, secret=hash_password(password))


def udp_exchange(port, packet, wait=2.0):
    """What comes back from a port of this machine, None where nothing does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(wait)
        sock.send(packet)
        try:
            return sock.recv(4096)
        except TimeoutError:
            return None
