"""Kamailio between two SIPp, with the routes of our how-to word for word: prepaid voice against a real shard.

apt-get install kamailio kamailio-extra-modules kamailio-utils-modules kamailio-json-modules sip-tester
"""

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.network.http.test_charging_api import TOKEN, VOICE, an_api
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO, a_tariff

from millicent.charging.types import Unit, Verb
from millicent.kit.errors import Outage
from millicent.network.http.writing import LAST_REQUEST
from millicent.subscriptions.types import IdentifierKind

HERE = Path(__file__).parent
HOW_TO = HERE.parents[2] / "docs" / "how-to" / "prepaid-voice-on-kamailio-or-asterisk.md"
KAMAILIO, SIPP = shutil.which("kamailio"), shutil.which("sipp")
pytestmark = pytest.mark.skipif(
    KAMAILIO is None or SIPP is None, reason="Kamailio or SIPp is not here: kamailio sip-tester"
)
CALLED = "+34911234567"


def a_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def a_configuration(*, port: int, carrier: int, api: int) -> str:
    """Ours, with the how-to's two parts. A minute is three seconds, so that a test sees several reports."""
    modules, routes = re.findall(r"```text\n(.*?)```", HOW_TO.read_text().partition("## Kamailio")[2], re.DOTALL)
    modules = modules.replace("127.0.0.1:8081", f"127.0.0.1:{api}").replace("interval=5", "interval=1")
    modules = modules.replace("SLICE_SECONDS 90", "SLICE_SECONDS 5").replace("REPORT_SECONDS 60", "REPORT_SECONDS 3")
    text = (HERE / "switch.cfg").read_text()
    for name, value in {"PORT": port, "CARRIER": carrier, "MODULES": modules, "ROUTES": routes}.items():
        text = text.replace(f"@{name}@", str(value))
    return text


class Switch:
    def __init__(self, folder: Path, *, port: int, carrier: int) -> None:
        self.folder, self.port, self.carrier = folder, port, carrier

    def sipp(self, scenario: str, *, port: int, milliseconds: int = 0) -> subprocess.Popen[bytes]:
        where = [f"127.0.0.1:{self.port}", "-i", "127.0.0.1", "-p", str(port), "-s", CALLED]
        what = ["-sf", str(HERE / f"{scenario}.xml"), "-m", "1", "-d", str(milliseconds), "-timeout", "40"]
        command = [str(SIPP), *where, *what, "-nostdin", "-timeout_error"]
        with (self.folder / f"{scenario}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env={**os.environ, "TERM": "dumb"}
            )

    def call(self, caller: str, callee: str | None, *, milliseconds: int = 0) -> float:
        """Both scenarios must come to their end. Returns how many seconds that took."""
        begun = time.monotonic()
        both = [self.sipp(callee, port=self.carrier)] if callee else []
        both.append(self.sipp(caller, port=a_free_port(), milliseconds=milliseconds))
        ended = [each.wait(60) for each in reversed(both)]
        assert ended == [0] * len(both), (self.folder / f"{caller}.log").read_text(errors="replace")
        return time.monotonic() - begun


@contextmanager
def a_switch(folder: Path, *, api: int):
    port, carrier = a_free_port(), a_free_port()
    configuration = folder / "kamailio.cfg"
    configuration.write_text(a_configuration(port=port, carrier=carrier, api=api))
    log = folder / "kamailio.log"
    command = [str(KAMAILIO), "-f", str(configuration), "-DD", "-E", "-Y", str(folder), "-m", "64", "-M", "8"]
    with log.open("wb") as out:
        running = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, env={**os.environ, "PREPAID_TOKEN": TOKEN}
        )
    try:
        _wait_for_answers(port, running, log)
        yield Switch(folder, port=port, carrier=carrier)
        wrong = [line for line in log.read_text(errors="replace").splitlines() if re.search(r"ERROR|CRITICAL", line)]
        assert wrong == []
    finally:
        running.terminate()
        running.wait(20)


def _wait_for_answers(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    """OPTIONS is answered (405) once it is there."""
    ask = f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK1\r\n"
    ask += "From: <sip:a@b>;tag=1\r\n"
    ask += "To: <sip:a@b>\r\nCall-ID: there\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.2)
        for _ in range(100):
            assert running.poll() is None, log.read_text(errors="replace")[-3000:]
            try:
                sock.sendto((ask % sock.getsockname()[1]).encode(), ("127.0.0.1", port))
                assert b"405" in sock.recv(2_000)
                return
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


class Noting(ShardPort):
    """A real shard under the machine's clock. Each answer that a test names is lost once, after all was done."""

    def __init__(self, *tariffs, lost=()):
        super().__init__(*tariffs, now_ms=int(time.time() * 1000))
        self.told: list[tuple[Verb, int]] = []
        self.lost = [*lost]

    async def submit(self, rows, texts=b""):
        self.now_ms = int(time.time() * 1000)
        self.told += [(Verb(int(row["verb"])), int(row["used"][Unit.SECONDS])) for row in rows]
        answers = self.apply(rows, texts)
        named = (Verb(int(rows["verb"][-1])), int(rows["request_number"][-1]))
        if named in self.lost:
            self.lost.remove(named)
            raise Outage("the answer is lost")
        return answers

    def verbs(self) -> list[Verb]:
        return [verb for verb, _ in self.told]

    def wait_for_the_end(self) -> None:
        """A stop goes out after the BYE, and again each second while it has no answer."""
        until = time.monotonic() + 5
        while (self.sessions() or self.lost) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1.5 if self.verbs().count(Verb.END) else 0)


def a_shard(*, nanos: int = EURO, lost=()) -> Noting:
    port = Noting(a_tariff(VOICE), lost=lost)
    port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=nanos)
    return port


def run_a_call(folder, shard, caller, callee, *, milliseconds=0):
    with an_api(port=shard) as api, a_switch(folder, api=api.door.port) as switch:
        lasted = switch.call(caller, callee, milliseconds=milliseconds)
        shard.wait_for_the_end()
    return lasted


def test_a_call_is_paid_by_what_it_lasted(tmp_path):
    shard = a_shard()
    run_a_call(tmp_path, shard, "caller", "callee", milliseconds=8_000)

    used = sum(max(used, 0) for _, used in shard.told)
    assert shard.verbs() == [Verb.OPEN, Verb.UNITS, Verb.UNITS, Verb.UNITS, Verb.UNITS, Verb.END]
    assert 8 <= used <= 9
    assert (shard.balance(), shard.sessions()) == (EURO - used * CENT, 0)


def test_what_is_said_again_because_its_answer_was_lost_is_paid_once(tmp_path):
    shard = a_shard(lost=[(Verb.UNITS, 1), (Verb.END, LAST_REQUEST)])
    run_a_call(tmp_path, shard, "caller", "callee", milliseconds=5_000)

    assert shard.lost == []
    assert shard.told.count((Verb.UNITS, 3)) == 2
    assert shard.verbs().count(Verb.END) == 2
    assert shard.balance() in (EURO - 5 * CENT, EURO - 6 * CENT)


def test_a_call_is_cut_when_nothing_is_left(tmp_path):
    shard = a_shard(nanos=8 * CENT)
    lasted = run_a_call(tmp_path, shard, "talker", "callee")

    assert 7 <= lasted <= 12
    assert (shard.balance(), shard.sessions()) == (0, 0)


def test_with_nothing_left_the_caller_is_told_to_pay(tmp_path):
    shard = a_shard(nanos=0)
    run_a_call(tmp_path, shard, "refused", None)

    assert shard.sessions() == 0


def test_a_call_that_nobody_takes_costs_nothing(tmp_path):
    shard = a_shard()
    run_a_call(tmp_path, shard, "unanswered", "busy")

    assert shard.verbs()[-1] is Verb.END
    assert (shard.balance(), shard.sessions()) == (EURO, 0)
