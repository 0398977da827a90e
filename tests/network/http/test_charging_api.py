"""The charging API over the loopback, with a real shard behind it."""

import asyncio
import http.client
import json
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from threading import Thread

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.network.shard_port import ShardPort
from tests.rating.builders import CENT, EURO, a_card, a_rule, a_tariff

from millicent.catalog.types import Match
from millicent.charging.types import Unit
from millicent.kit.errors import BadInput, Outage
from millicent.network.http.app import _KINDS, MOST_BYTES, ChargingApp
from millicent.network.http.applications import Application, HttpSettings, new_token, read_http_settings
from millicent.network.http.charging import Charging
from millicent.network.http.door import HttpDoor
from millicent.network.http.naming import Offered
from millicent.subscriptions.types import IdentifierKind

TOKEN = "a-token-of-tests"
OFFERED = Offered(
    services={
        "voice": Unit.SECONDS,
        "data": Unit.TOTAL_OCTETS,
        "sms": Unit.SERVICE_UNITS,
        "content": Unit.SERVICE_UNITS,
    },
    currencies=("EUR",),
)
ANNA = {"kind": "msisdn", "identifier": "+34600000001"}
VOICE = a_rule("voice", a_card(CENT), match=Match(services=("voice",)))
MESSAGE = a_rule("sms", a_card(10 * CENT), match=Match(services=("sms",)))
CALL = {"subscriber": ANNA, "service": "voice", "other_party": "+34911234567"}


class Api:
    def __init__(self, door, port, loop):
        self.door, self.port, self.loop = door, port, loop

    def post(self, name, body, *, token=TOKEN, **headers):
        """Status, body and headers of one request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {token}", **{key.replace("_", "-"): value for key, value in headers.items()}}
        with closing(http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=10)) as connection:
            connection.request("POST", f"/charging/v1/{name}", content, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers

    def ok(self, name, body, **headers):
        status, told, _ = self.post(name, body, **headers)
        assert status == 200, told
        return told


@contextmanager
def an_api(*, port=None, application=None):
    if port is None:
        port = ShardPort(a_tariff(VOICE, MESSAGE))
        port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=EURO)
    application = application or Application(name="switch")
    settings = HttpSettings(applications={sha256(TOKEN.encode()).digest(): application}, port=0)
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    async def make():
        app = ChargingApp(charging=Charging(port, offered=OFFERED), settings=settings)
        door = HttpDoor(app, settings=settings)
        await door.open()
        return door

    door = run(make())
    try:
        yield Api(door, port, loop)
    finally:
        run(door.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def api():
    with an_api() as running:
        yield running


def test_a_switch_is_told_how_long_a_call_may_last_and_nothing_is_held(api):
    told = api.ok("authorise", CALL)

    assert told["maximum_duration_seconds"] == 100
    assert told["unit"] == "seconds"
    assert told["available"] == {"amount": "1.00", "currency": "EUR"}
    assert api.port.sessions() == 0
    assert api.ok("authorise", CALL)["maximum_duration_seconds"] == 100


def test_with_nothing_left_a_call_may_last_no_second(api):
    poor = ShardPort(a_tariff(VOICE))
    poor.subscribe("34600000001", kind=IdentifierKind.MSISDN)
    with an_api(port=poor) as running:
        told = running.ok("authorise", CALL)

    assert told["allowed"] is False
    assert told["why"] == "insufficient"
    assert told["maximum_duration_seconds"] == 0


def test_a_call_is_paid_by_what_it_lasted(api):
    begun = api.ok("start", {**CALL, "session_id": "call-1", "asked": {"seconds": 30}})
    assert (begun["granted"], begun["maximum_duration_seconds"]) == (30, 30)
    going = api.ok("update", {"session_id": "call-1", "number": 1, "used": {"seconds": 30}, "asked": {"seconds": 30}})
    assert going["charged"] == {"amount": "0.30", "currency": "EUR"}
    ended = api.ok("stop", {"session_id": "call-1", "used": {"seconds": 12}})

    assert ended["session_total"] == {"amount": "0.42", "currency": "EUR"}
    assert api.port.balance() == EURO - 42 * CENT
    assert api.port.sessions() == 0


def test_the_same_again_is_answered_as_before_and_paid_once(api):
    start = {**CALL, "session_id": "call-1", "asked": {"seconds": 30}}
    update = {"session_id": "call-1", "number": 1, "used": {"seconds": 30}}
    stop = {"session_id": "call-1", "used": {"seconds": 5}}
    first = [api.ok("start", start), api.ok("update", update), api.ok("stop", stop)]
    assert "repeated" not in first[0]

    again = [api.ok("start", start), api.ok("update", update), api.ok("stop", stop)]

    assert [each.pop("repeated") for each in again] == [True, True, True]
    assert again == first
    assert api.port.balance() == EURO - 35 * CENT


def test_a_message_is_paid_once_for_its_key_and_given_back_once(api):
    message = {"subscriber": ANNA, "service": "sms", "other_party": "+34600000002", "used": {"units": 1}}
    for _ in range(2):
        assert api.ok("event", message, Idempotency_Key="m-1")["charged"]["amount"] == "0.10"
    assert api.port.balance() == EURO - 10 * CENT

    assert api.post("refund", {"event_key": "m-1"}, Idempotency_Key="r-1")[0] == 200
    assert api.post("refund", {"event_key": "m-1"}, Idempotency_Key="r-1")[0] == 200
    status, told, _ = api.post("refund", {"event_key": "m-1"}, Idempotency_Key="r-2")

    assert (status, told["code"]) == (409, "already")
    assert api.port.balance() == EURO


def test_an_event_without_a_key_is_not_charged(api):
    status, told, _ = api.post("event", {"subscriber": ANNA, "service": "sms", "used": {"units": 1}})

    assert status == 422
    assert "Idempotency-Key" in told["detail"]
    assert api.port.balance() == EURO


def test_what_a_message_would_cost_costs_nothing(api):
    told = api.ok("event", {"subscriber": ANNA, "service": "sms", "used": {"units": 1}, "mode": "enquire"})

    assert told["price"] == {"amount": "0.10", "currency": "EUR"}
    assert api.port.balance() == EURO


def test_content_costs_what_its_application_says_in_the_currency_of_the_account(api):
    song = {"subscriber": ANNA, "service": "content", "amount": "0.99"}
    assert api.ok("event", {**song, "currency": "EUR"}, Idempotency_Key="s-1")["charged"]["amount"] == "0.99"
    status, told, _ = api.post("event", {**song, "currency": "USD"}, Idempotency_Key="s-2")

    assert (status, told["code"]) == (422, "charging_currency_strange")
    assert api.port.balance() == CENT


def test_a_start_that_is_refused_leaves_no_session():
    poor = ShardPort(a_tariff(VOICE))
    poor.subscribe("34600000001", kind=IdentifierKind.MSISDN)
    with an_api(port=poor) as running:
        status, told, headers = running.post("start", {**CALL, "session_id": "call-1"})

    assert (status, told["code"]) == (402, "insufficient")
    assert headers["content-type"] == "application/problem+json"
    assert poor.sessions() == 0


def test_a_batch_is_answered_in_its_order_and_one_refusal_stops_no_other(api):
    told = api.ok(
        "batch",
        {
            "operations": [
                {"operation": "start", **CALL, "session_id": "a", "asked": {"seconds": 10}},
                {"operation": "stop", "session_id": "nobody", "used": {"seconds": 1}},
                {"operation": "authorise", **CALL, "service": "fax"},
                {"operation": "stop", "session_id": "a", "used": {"seconds": 7}},
                {"operation": "event", "subscriber": ANNA, "service": "sms", "used": {"units": 1}, "key": "k"},
            ]
        },
    )

    assert [each["status"] for each in told["answers"]] == [200, 404, 422, 200, 200]
    assert api.port.balance() == EURO - 17 * CENT


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("start", b"{", 400, "shape"),
        ("start", b"[" * 100_000, 400, "shape"),
        ("start", {"session_id": "x"}, 400, "shape"),
        ("start", {**CALL, "session_id": "x", "strange": 1}, 400, "shape"),
        ("update", {"session_id": "x", "number": 0, "used": {}}, 400, "shape"),
        ("stop", {"session_id": "x", "used": {"seconds": -1}}, 400, "shape"),
        ("nothing", {}, 404, "no_path"),
        (
            "authorise",
            {**CALL, "subscriber": {"kind": "msisdn", "identifier": "+34699999999"}},
            404,
            "unknown_subscriber",
        ),
        (
            "authorise",
            {**CALL, "subscriber": {"kind": "msisdn", "identifier": "anna"}},
            422,
            "charging_request_unusable",
        ),
        ("authorise", {**CALL, "service": "data"}, 422, "not_priced"),
        ("stop", {"session_id": "x", "used": {"seconds": 1}}, 404, "unknown_session"),
        ("stop", b" " * (MOST_BYTES + 1), 413, "large"),
    ],
)
def test_what_cannot_be_charged_is_refused_with_its_code(api, name, body, status, code):
    told = api.post(name, body)

    assert (told[0], told[1]["code"]) == (status, code)
    assert told[1]["status"] == status
    assert api.port.balance() == EURO


@pytest.mark.parametrize("token", ["", "another", "a-token-of-test", "é"])
def test_a_stranger_learns_nothing(api, token):
    for name in ("authorise", "nothing"):
        connection_status, told, headers = api.post(name, CALL, token=token.encode().decode("latin-1"))
        assert (connection_status, told["code"]) == (401, "unknown_application")
        assert headers["www-authenticate"] == "Bearer"


def test_an_application_charges_only_its_services():
    port = ShardPort(a_tariff(VOICE, MESSAGE))
    port.subscribe("34600000001", kind=IdentifierKind.MSISDN, nanos=EURO)
    with an_api(port=port, application=Application(name="switch", services=frozenset({"voice"}))) as running:
        assert running.post("authorise", CALL)[0] == 200
        assert running.post("authorise", {**CALL, "service": "sms"})[0] == 422


def test_while_the_shard_is_silent_a_sender_is_asked_to_come_again():
    class Silent(ShardPort):
        async def submit(self, rows, texts=b""):
            raise Outage("nothing can be made durable now")

    with an_api(port=Silent(a_tariff(VOICE))) as running:
        status, told, headers = running.post("authorise", CALL)

    assert (status, told["code"]) == (503, "outage")
    assert headers["retry-after"] == "1"


def test_the_document_describes_every_operation(api):
    with closing(http.client.HTTPConnection("127.0.0.1", api.door.port, timeout=10)) as connection:
        connection.request("GET", "/openapi.json")
        document = json.loads(connection.getresponse().read())

    assert document["openapi"] == "3.1.0"
    assert {f"/charging/v1/{name}" for name in _KINDS} == document["paths"].keys()
    named = set(msgspec.json.encode(document).decode().split('"#/components/schemas/')[1:])
    assert {each.partition('"')[0] for each in named} <= document["components"]["schemas"].keys()


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/openapi.json", 200, None),
        ("POST", "/openapi.json", 405, "GET, HEAD"),
        ("GET", "/charging/v1/start", 405, "POST"),
        ("OPTIONS", "/charging/v1/start", 405, "POST"),
        ("TRACE", "/charging/v1/batch", 405, "POST"),
    ],
)
def test_another_method_is_told_which_is_allowed(api, method, path, status, allow):
    with closing(http.client.HTTPConnection("127.0.0.1", api.door.port, timeout=10)) as connection:
        connection.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()

    assert (answer.status, answer.headers["allow"]) == (status, allow)


@given(st.sampled_from(sorted(_KINDS)), st.binary(max_size=300))
def test_no_bytes_crash_the_reader(name, body):
    decoder = msgspec.json.Decoder(_KINDS[name])
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoder.decode(body)


def test_a_token_stands_in_no_file():
    token, digest = new_token()
    settings = read_http_settings(f"applications: {{switch: {{token_sha256: {digest}, services: [voice]}}}}")

    assert settings.application_of(f"Bearer {token}") == Application(name="switch", services=frozenset({"voice"}))
    assert settings.application_of(f"Basic {token}") is None
    assert settings.application_of("Bearer ") is None
    assert token not in repr(settings)


@pytest.mark.parametrize(
    "text",
    ["applications: {}", "applications: {a: {token_sha256: short}}", "applications: {A b: {}}", "listen: {port: 1}",
     "applications: {a: {token: x}}", "listen: {certificate: x}\napplications: {a: {token_sha256: " + "0" * 64 + "}}"],
)  # fmt: skip
def test_a_wrong_declaration_is_refused(text):
    with pytest.raises(BadInput):
        read_http_settings(text)
