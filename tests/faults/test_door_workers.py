"""Doors in several processes, from the outside: workers and the shard are killed under them, and nothing is lost."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from tests.charging.faults.harness import ROOT, a_zygote
from tests.charging.people.builders import an_operator
from tests.network.radius.builders import SECRET, accounting_packet
from tests.network.radius.test_following import AccessServer
from tests.rating.builders import CENT, EURO

from millicent.charging.client import SyncChargingClient, socket_path
from millicent.charging.journal.errors import ShardSilent
from millicent.charging.keys import identifier_key, plan_text, traffic_text
from millicent.charging.types import Flag, NameKind, Result, Verb, commands
from millicent.kit.tenancy import tenant_scope
from millicent.network.radius.words import AcctStatus, Code
from millicent.subscriptions.types import IdentifierKind

PATIENCE_SECONDS = 30
PEOPLE = 12  # each with a source port of its own: all of them at one of two workers is a chance of 1 in 2048
MONEY, OCTET_PRICE, MESSAGE_PRICE = 10**7 * EURO, CENT // 1000, 5 * CENT
TOKEN = "a-token-of-tests"
UNANSWERED_SECONDS = 0.7

pytestmark = pytest.mark.slow  # a worker that is replaced loads everything anew


def until(found, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return value


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Stand:
    """A tenant's shard and the workers of one door, each in processes of their own."""

    def __init__(self, code, zygote, kind, environment):
        from millicent.config.settings import settings

        self.socket, self.zygote = socket_path(settings().home_path, tenant=code), zygote
        self.program = subprocess.Popen(
            [sys.executable, "-m", "millicent", "door", kind],
            cwd=ROOT, stdout=subprocess.DEVNULL,
            env={**os.environ, "MILLICENT_HOME": str(settings().home_path), "MILLICENT_TENANT": code, **environment},
        )  # fmt: skip
        self.shard = 0

    def workers(self):
        pid = self.program.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(each) for each in children if b"spawn_main" in _words(each)]

    def start_shard(self):
        self.shard = self.zygote.start(socket=str(self.socket))

    def port(self):
        def reached():
            with suppress(ShardSilent):
                return SyncChargingClient(self.socket)

        return until(reached, "the shard does not answer")

    def replaced(self, worker):
        """Kill a worker; who is there once another has come."""
        before = self.workers()
        os.kill(worker, signal.SIGKILL)
        return until(lambda: len(set(self.workers()) - {worker}) == len(before) and self.workers(), "no worker comes")

    def know(self, kind, names):
        with self.port() as port:
            plan = port.number_of(NameKind.PLAN, plan_text(tariff="basic", segment=""))
            currency, rows = port.number_of(NameKind.CURRENCY, "EUR"), []
            for number, name in enumerate(names, start=1):
                four = commands(4)
                four["verb"] = (Verb.ACCOUNT, Verb.SUBSCRIBER, Verb.IDENTIFIER, Verb.TOP_UP)
                four["account_id"], four["other_name"][0], four["name"][1] = number, currency, plan
                four["subscription_id"][1:3] = number
                four["subscriber_key"][2] = identifier_key(kind, name)
                four["bucket_id"][3], four["amount"][3] = number, MONEY
                rows.append(four)
            assert (port.submit(np.concatenate(rows))["result"] == Result.DONE).all()

    def bar(self, number):
        """A subscription is barred: its sessions are to end."""
        with self.port() as port:
            row = commands(1)
            row["verb"], row["subscription_id"], row["account_id"], row["flags"] = (
                Verb.SUBSCRIBER, number, number, Flag.BARRED,
            )  # fmt: skip
            row["name"] = port.number_of(NameKind.PLAN, plan_text(tariff="basic", segment=""))
            assert port.submit(row)["result"][0] == Result.DONE

    def spent(self):
        with self.port() as port:
            rows = commands(PEOPLE)
            rows["verb"], rows["subscription_id"] = Verb.CHECK, np.arange(1, PEOPLE + 1)
            rows["traffic"] = port.number_of(NameKind.TRAFFIC, traffic_text(service="sms"))
            return [MONEY - int(each) for each in port.submit(rows)["available_nanos"]]

    def close(self):
        self.program.terminate()
        try:
            self.program.wait(timeout=PATIENCE_SECONDS)
        finally:
            self.program.kill()


def _words(process):
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


@contextmanager
def a_stand(tenant_id, folder, kind, declared, **environment):
    from millicent.config.settings import settings
    from millicent.kit.models import Tenant

    code = Tenant.objects.get(id=tenant_id).code
    with tenant_scope(tenant_id):
        an_operator()
    doors = settings().home_path / "doors" / code
    doors.mkdir(parents=True)
    (doors / f"{kind}.yaml").write_text(declared)
    with a_zygote(tenant_id, folder, "--real") as zygote:
        stand = Stand(code, zygote, kind, environment)
        try:
            early = until(lambda: len(stand.workers()) == 2 and stand.workers(), "no workers")
            time.sleep(4)  # long enough to come up, and to die if they did
            assert stand.workers() == early, "who starts before the shard waits for it"
            stand.start_shard()
            yield stand
        finally:
            stand.close()


class Subscribers:
    """Access servers' reports, each from a port of its own, each the same again until it is answered."""

    def __init__(self, port):
        self.sockets = []
        for _ in range(PEOPLE):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(("127.0.0.1", port))
            sock.settimeout(UNANSWERED_SECONDS)
            self.sockets.append(sock)

    def send(self, status, identifier, **told):
        """Everybody reports once; who is answered at once."""
        self.packets = {
            number: accounting_packet(
                status, identifier=identifier, session=f"s{number}", user=f"u{number}@isp", secret=SECRET, **told
            )
            for number in range(1, PEOPLE + 1)
        }
        return self.again()

    def again(self):
        for number in self.packets:
            with suppress(ConnectionRefusedError):
                self.sockets[number - 1].send(self.packets[number])
        end, answered = time.monotonic() + UNANSWERED_SECONDS, set()
        for number in list(self.packets):
            self.sockets[number - 1].settimeout(max(end - time.monotonic(), 0.01))
            with suppress(TimeoutError, ConnectionRefusedError):
                while (answer := self.sockets[number - 1].recv(4096))[1] != self.packets[number][1]:
                    pass  # a late answer to the report before
                assert answer[0] == Code.ACCOUNTING_RESPONSE
                answered.add(number)
                del self.packets[number]
        return answered

    def until_answered(self):
        until(lambda: self.packets == {} or (self.again() and self.packets == {}), "reports are not answered")


@pytest.fixture
def nas():
    server = AccessServer()
    yield server
    server.close()


def test_radius_workers_share_a_port_and_survive_each_other_and_the_shard(tenant_id, tmp_path, nas):
    port = free_port(socket.SOCK_DGRAM)
    declared = f"""\
listen: {{authentication_port: {free_port(socket.SOCK_DGRAM)}, accounting_port: {port}}}
workers: 2
clients:
  nas:
    {{address: 127.0.0.1, secret: {{environment: NAS_SECRET}}, message_authenticator: optional, coa_port: {nas.port}}}
"""
    with a_stand(tenant_id, tmp_path, "radius", declared, NAS_SECRET=SECRET.decode()) as stand:
        stand.know(IdentifierKind.RADIUS_USER, [f"u{number}@isp" for number in range(1, PEOPLE + 1)])
        people = Subscribers(port)
        people.send(AcctStatus.START, 1)
        people.until_answered()

        first, second = until(lambda: _udp_sockets(port) == 2 and stand.workers(), "one worker only")
        os.kill(first, signal.SIGSTOP)
        answered = people.send(AcctStatus.INTERIM, 2, acct_session_time=10, acct_input_octets=100)
        os.kill(first, signal.SIGCONT)
        people.until_answered()
        assert 0 < len(answered) < PEOPLE, "both of them answer"

        stand.replaced(second)
        people.send(AcctStatus.INTERIM, 3, acct_session_time=20, acct_input_octets=200)
        people.until_answered()

        stand.zygote.kill(stand.shard)
        people.send(AcctStatus.INTERIM, 4, acct_session_time=30, acct_input_octets=300)
        stand.start_shard()
        people.until_answered()

        for barred, victim in enumerate((None, *stand.workers()), start=1):
            if victim is not None:
                stand.replaced(victim)
            until(lambda: _udp_sockets(port) == 2, "one worker only")
            stand.bar(barred)
            order = nas.order()
            assert (order.code, order["Acct-Session-Id"]) == (Code.DISCONNECT_REQUEST, [f"s{barred}"])
            assert nas.is_left_alone()

        people.send(AcctStatus.STOP, 5, acct_session_time=40, acct_input_octets=400)
        people.until_answered()
        assert stand.spent()[3:] == [400 * OCTET_PRICE] * (PEOPLE - 3)
        for sock in people.sockets:
            sock.close()


def _udp_sockets(port):
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") for line in lines)


def test_http_workers_share_a_port_and_survive_each_other_and_the_shard(tenant_id, tmp_path):
    port = free_port(socket.SOCK_STREAM)
    declared = f"""\
listen: {{port: {port}}}
workers: 2
applications:
  switch: {{token_sha256: {sha256(TOKEN.encode()).hexdigest()}}}
"""

    def message(number, key, wait=1.0):
        """One message of a subscriber; None where nobody answers."""
        body = {"subscriber": {"kind": "msisdn", "identifier": f"+346000000{number:02}"}, "service": "sms",
                "used": {"units": 1}}  # fmt: skip
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": f"{key}-{number}"}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=wait)) as connection:
            try:
                connection.request("POST", "/charging/v1/event", json.dumps(body), headers)
                answer = connection.getresponse()
                told = answer.read()
            except (OSError, http.client.HTTPException):
                return None
        assert answer.status in (200, 503), told
        return answer.status == 200 or None

    def everybody(key):
        return {number for number in range(1, PEOPLE + 1) if message(number, key)}

    def until_done(key, done=()):
        left = set(range(1, PEOPLE + 1)) - set(done)
        for number in left:
            until(lambda number=number: message(number, key), "nobody answers")

    with a_stand(tenant_id, tmp_path, "http", declared) as stand:
        stand.know(IdentifierKind.MSISDN, [f"346000000{number:02}" for number in range(1, PEOPLE + 1)])
        until_done("first")
        time.sleep(2)  # the other one is open too
        first, second = stand.workers()
        os.kill(first, signal.SIGSTOP)
        answered = everybody("halved")
        os.kill(first, signal.SIGCONT)
        until_done("halved")
        assert 0 < len(answered) < PEOPLE, "both of them answer"

        stand.replaced(second)
        until_done("replaced", done=everybody("replaced"))
        stand.zygote.kill(stand.shard)
        assert everybody("away") == set()
        stand.start_shard()
        until_done("away")
        assert stand.spent() == [4 * MESSAGE_PRICE] * PEOPLE
