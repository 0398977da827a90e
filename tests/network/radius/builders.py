"""A port that stands for the shard, access servers, and packets as pyrad would send them."""

from hashlib import md5
from ipaddress import ip_network

import numpy as np

from millicent.charging.types import ANSWER, NOT_SAID, NameKind, Result, Verb
from millicent.charging.types_map import RADIUS_CONTEXT, ServiceEntry, ServiceMap, ServiceRule, Unit
from millicent.kit.errors import Outage
from millicent.network.radius.clients import Client
from millicent.network.radius.packets import number, write_attributes
from millicent.network.radius.words import AcctStatus, Attribute, Code

SECRET = b"a-secret-of-tests"
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
