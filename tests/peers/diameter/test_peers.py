"""Other people's Diameter against our server: each runs a whole session, and finds nothing wrong with our answers.

apt-get install freediameterd freediameter-extensions erlang-diameter erlang-examples erlang-dev
npm install --prefix FOLDER diameter@0.7.0        MILLICENT_TEST_NODE_MODULES=FOLDER/node_modules
"""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.network.diameter.builders import FakeShard, a_server, a_slice

from millicent.charging.types import FinalAction, Rows, Unit, Verb

HERE = Path(__file__).parent
NODE_MODULES = Path(os.environ.get("MILLICENT_TEST_NODE_MODULES", "node_modules"))
ERLANG_DICTIONARIES = sorted(Path("/usr/lib/erlang/lib").glob("diameter-*/examples/dict/rfc4006_cc.dia"))
RELAY = shutil.which("freeDiameterd")
has_node = shutil.which("node") is not None and (NODE_MODULES / "diameter").is_dir()
needs_node = pytest.mark.skipif(not has_node, reason="node's diameter is not here: MILLICENT_TEST_NODE_MODULES")
needs_erlang = pytest.mark.skipif(
    not (ERLANG_DICTIONARIES and shutil.which("diameterc")), reason="Erlang's diameter is not here: erlang-diameter"
)
needs_relay = pytest.mark.skipif(
    RELAY is None, reason="freeDiameter is not here: freediameterd freediameter-extensions"
)
THREE_GPP = {"holding_seconds": 300, "threshold_units": 1_000_000}
PEERS = """
host: ocs01.example.net
realm: example.net
listen: [{address: 127.0.0.1, port: 0}]
peers: [{host: "*.example.net", realm: example.net}]
"""
CONFIGURATION = """
Identity = "relay.example.net";
Realm = "example.net";
Port = {port};
SecPort = 0;
No_SCTP;
ListenOn = "127.0.0.1";
TLS_Cred = "{folder}/cert.pem", "{folder}/key.pem";
TLS_CA = "{folder}/cert.pem";
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_dcca.fdx";
LoadExtension = "dict_dcca_3gpp.fdx";
LoadExtension = "dbg_msg_dumps.fdx" : "0x8888";
LoadExtension = "acl_wl.fdx" : "{folder}/acl.conf";
ConnectPeer = "ocs01.example.net" {{ ConnectTo = "127.0.0.1"; Port = {server}; No_TLS; No_IPv6; }};
"""


def a_shard(**more: int) -> FakeShard:
    """Slices with a tariff change, the last one final; and whatever else a slice may have."""
    shard = FakeShard()
    full = {"tariff_change_ms": 1_795_010_400_000, **more}

    def decide(command):
        final = FinalAction.REDIRECT if command["request_number"] == 1 else FinalAction.NONE
        return a_slice(5_000_000, Unit.TOTAL_OCTETS, **full, final=final)

    shard.decide = decide
    return shard


def what_was_told(shard: FakeShard) -> list[tuple[int, int]]:
    rows: Rows = shard.rows()
    return [(int(row["verb"]), int(row["used"][1])) for row in rows]


WHOLE_SESSION = [(Verb.OPEN, -1), (Verb.UNITS, -1), (Verb.UNITS, 3_000_000), (Verb.UNITS, 3_000_000), (Verb.END, -1)]


async def run(*command: str, folder: Path | None = None, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def node_session(port: int, host: str) -> list[dict]:
    modules = str(NODE_MODULES.resolve())
    printed = await run("node", "--no-deprecation", str(HERE / "session.js"), str(port), host, NODE_PATH=modules)
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@needs_node
def test_node_runs_a_session():
    async def scene():
        shard = a_shard(**THREE_GPP)
        async with a_server(shard, settings=PEERS) as server:
            return await node_session(server.addresses[0][1], "node.example.net"), shard

    answers, shard = asyncio.run(scene())

    assert [answer["name"] for answer in answers] == [
        "Capabilities-Exchange", "Credit-Control", "Credit-Control", "Credit-Control", "Disconnect-Peer",
    ]  # fmt: skip
    assert {answer["result"] for answer in answers} == {"DIAMETER_SUCCESS"}
    assert dict(answers[1]["slices"][0])["Granted-Service-Unit"][-1] == ["CC-Total-Octets", "5000000"]
    assert dict(dict(answers[2]["slices"][0])["Final-Unit-Indication"])["Final-Unit-Action"] == "REDIRECT"
    assert what_was_told(shard) == WHOLE_SESSION


@needs_erlang
def test_erlang_runs_a_session_with_its_strict_codec(tmp_path):
    async def scene():
        shard = a_shard(**THREE_GPP)  # none of it is told to a client that speaks RFC 4006 alone
        for name in ("rfc4005_nas", "rfc4006_cc"):
            shutil.copy(ERLANG_DICTIONARIES[-1].with_name(f"{name}.dia"), tmp_path)
            inherits = ("--inherits", "common/diameter_gen_base_rfc6733")
            prefix = name.partition("_")[2]
            await run("diameterc", *inherits, "--name", name, "--prefix", prefix, f"{name}.dia", folder=tmp_path)
            await run("erlc", f"{name}.erl", folder=tmp_path)
        await run("erlc", str(HERE / "session.erl"), folder=tmp_path)
        async with a_server(shard, settings=PEERS) as server:
            port = str(server.addresses[0][1])
            printed = await run(
                "erl", "-noshell", "-run", "session", "main", port, "erlang.example.net", folder=tmp_path
            )
        return printed, shard

    printed, shard = asyncio.run(scene())

    assert re.findall(r"answer (\d) result (\d+) errors (\[.*?\]) slices (\d)", printed) == [
        ("1", "2001", "[]", "1"), ("2", "2001", "[]", "1"), ("3", "2001", "[]", "0"),
    ]  # fmt: skip
    assert what_was_told(shard) == WHOLE_SESSION


@asynccontextmanager
async def a_relay(folder: Path, *, server: int):
    """freeDiameter between a client and us: it reads every message by its own dictionary. Yields its port and log."""
    certificate = ("-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=relay.example.net")
    await run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate, folder=folder)
    (folder / "acl.conf").write_text("ALLOW_IPSEC *.example.net\n")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    (folder / "relay.conf").write_text(CONFIGURATION.format(port=port, folder=folder, server=server))
    log = folder / "log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            str(RELAY), "-c", "relay.conf", "-d", cwd=folder, stdout=out, stderr=out
        )
    try:
        for _ in range(200):
            if "STATE_OPEN" in log.read_text(errors="replace"):
                break
            await asyncio.sleep(0.1)
        yield port, log
    finally:
        process.terminate()
        await process.wait()


@needs_relay
@needs_node
def test_freediameter_relays_a_session_and_finds_no_encoding_error(tmp_path):
    async def scene():
        shard = a_shard(**THREE_GPP)
        async with a_server(shard, settings=PEERS) as server:
            async with a_relay(tmp_path, server=server.addresses[0][1]) as (port, log):
                answers = await node_session(port, "node.example.net")
            return answers, log.read_text(errors="replace"), shard

    answers, log, shard = asyncio.run(scene())

    assert [answer["result"] for answer in answers] == ["DIAMETER_SUCCESS"] * 5
    assert what_was_told(shard) == WHOLE_SESSION
    wrong = [line for line in log.splitlines() if re.search(r"ERROR|invalid|Invalid|parsing|5014|3009", line)]
    assert wrong == []
    assert "Granted-Service-Unit" in log
