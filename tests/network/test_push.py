"""Usage pushed over HTTP, through a real socket: who may, what is taken, and that the same again counts nothing."""

import http.client
import json
from threading import Thread

import pytest
from django.db import connections
from tests.mediation.builders import ALICE, FOREVER_MS, a_call, a_source, identifiers, lake_usage, stores_in

from millicent.config.health import HealthServer
from millicent.kit.models import Tenant
from millicent.kit.tenancy import tenant_scope
from millicent.mediation import road
from millicent.mediation.family_lock import family_lock
from millicent.mediation.services import accept_pushed_usage
from millicent.mediation.services.renew_push_token import renew_push_token
from millicent.network.push import door
from millicent.network.push.cloud_events import BATCHED, STRUCTURED
from millicent.network.push.door import PushDoor


class Sender:
    """A switch that pushes: it knows its place and its token."""

    def __init__(self, *, port, path, token):
        self.port, self.path, self.token = port, path, token

    def post(self, body, content_type=STRUCTURED, *, token=None, path=None, **headers):
        """(status, answered JSON, headers)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": content_type, "Authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request("POST", path or self.path, body=content, headers=sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.headers)
        finally:
            connection.close()


@pytest.fixture
def stores(tmp_path):
    return stores_in(tmp_path)


@pytest.fixture
def sender(tenant_id, stores, monkeypatch):
    frame = identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17))
    monkeypatch.setattr(road, "identifier_frame", lambda: frame)
    a_source(tenant_id)
    with tenant_scope(tenant_id):
        token = renew_push_token("switch")
    server = HealthServer(port=0, health=dict, push=PushDoor(stores_of=lambda tenant: stores))
    server.start()
    code = Tenant.objects.get(id=tenant_id).code
    yield Sender(port=server.port, path=f"/push/{code}/switch", token=token)
    server.stop()


def an_event(event_id, **data):
    said = {name: value for name, value in a_call("").items() if name != "event_id"} | data
    return {"specversion": "1.0", "id": event_id, "source": "/pcrf/1", "type": "usage", "data": said}


def counted(answer):
    status, content, _ = answer
    names = ("records_in", "accepted", "suspended", "rejected", "duplicate")
    return status, *(content[name] for name in names)


def test_structured_batched_and_binary_events_are_the_same_events(sender, stores):
    assert counted(sender.post(an_event("1"))) == (202, 1, 1, 0, 0, 0)
    batch = [an_event("1"), an_event("2"), an_event("3", identifier="stranger")]
    assert counted(sender.post(batch, f"{BATCHED}; charset=utf-8")) == (202, 3, 1, 1, 0, 1)
    binary = {"ce_specversion": "1.0", "ce_id": "2", "ce_source": "%2Fpcrf%2F1", "ce_type": "usage"}
    assert counted(sender.post(an_event("2")["data"], "application/json", **binary)) == (202, 1, 0, 0, 0, 1)
    assert lake_usage(stores).height == 2


def test_the_same_push_again_is_the_same_batch(sender, stores):
    first, again = sender.post(an_event("1")), sender.post(an_event("1"))

    assert first[:2] == again[:2]
    assert first[0] == 202
    assert lake_usage(stores).height == 1


def test_the_same_push_from_many_connections_at_once_counts_once(sender, stores):
    answers = []
    threads = [Thread(target=lambda: answers.append(sender.post(an_event("1")))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [counted(each) for each in answers] == [(202, 1, 1, 0, 0, 0)] * 6
    assert lake_usage(stores).height == 1


def test_whoever_has_no_token_of_that_source_learns_nothing(sender, tenant_id, stores):
    a_source(tenant_id, name="closed")
    places = [
        {"token": "wrong"},
        {"token": " "},
        {"path": "/push/nobody/switch"},
        {"path": sender.path.replace("switch", "closed")},
        {"path": sender.path.replace("switch", "nowhere")},
    ]

    answers = [sender.post(an_event("1"), **place) for place in places]
    answers.append(sender.post(an_event("1"), Authorization=f"Basic {sender.token}"))

    assert {(status, content["detail"]) for status, content, _ in answers} == {
        (401, "no source takes pushes here with that token")
    }
    assert {headers["WWW-Authenticate"] for _, _, headers in answers} == {"Bearer"}
    assert stores.lake.open_table("usage") is None


def test_a_renewed_token_ends_the_old_one(sender, tenant_id):
    with tenant_scope(tenant_id):
        renewed = renew_push_token("switch")

    assert sender.post(an_event("1"))[0] == 401
    assert sender.post(an_event("1"), token=renewed)[0] == 202


@pytest.mark.parametrize(
    ("body", "content_type", "status", "detail"),
    [
        (b"{", STRUCTURED, 400, "body: not JSON"),
        (b"\xff", STRUCTURED, 400, "body: not JSON"),
        (b"[" * 200_000, STRUCTURED, 400, "body: not JSON"),
        (b'{"data": NaN}', STRUCTURED, 400, "body: not JSON: NaN"),
        (b'{"data": "\\ud800"}', STRUCTURED, 400, "body: not JSON"),
        ({}, BATCHED, 400, "body: a batch is a JSON array"),
        ([], BATCHED, 400, "push: 0 events"),
        ([an_event("1"), {**an_event("2"), "specversion": "0.3"}], BATCHED, 400, "event 1: specversion is not 1.0"),
        ({**an_event("1"), "id": ""}, STRUCTURED, 400, "event 0: id is missing"),
        ({**an_event("1"), "data": "x"}, STRUCTURED, 400, "event 0: data is not a JSON object"),
        (an_event("1"), "application/json", 415, "header: content type 'application/json'"),
    ],
)  # fmt: skip
def test_what_is_no_usage_is_refused_whole(sender, stores, body, content_type, status, detail):
    answered, content, headers = sender.post(body, content_type)

    assert (answered, content["status"]) == (status, status)
    assert content["detail"].startswith(detail)
    assert headers["Content-Type"] == "application/problem+json"
    assert stores.lake.open_table("usage") is None


def test_a_push_that_is_too_large_is_refused_before_it_is_read(sender, monkeypatch):
    monkeypatch.setattr(door, "MOST_BYTES", 50)

    assert sender.post(b"x" * 3_000_000)[0] == 413
    assert sender.post(an_event("1"), Content_Length="many")[0] == 411
    assert sender.post(an_event("1"), Content_Length="9" * 5_000)[0] == 413


def test_a_sender_comes_again_while_a_file_of_the_family_is_collected(sender, tenant_id, stores, monkeypatch):
    monkeypatch.setattr(accept_pushed_usage, "PATIENCE_MS", 1)

    with family_lock(tenant_id=tenant_id, family="switch"):
        status, content, headers = sender.post(an_event("1"))

    assert (status, content["code"], headers["Retry-After"]) == (503, "source_family_busy", "5")
    assert stores.lake.open_table("usage") is None
    assert sender.post(an_event("1"))[0] == 202


def test_only_so_many_are_served_at_a_time(tenant_id, stores):
    busy = PushDoor(stores_of=lambda tenant: stores)
    for _ in range(door.MOST_AT_A_TIME):
        busy._places.acquire()

    answer = busy.answer("/push/a/b", headers={}, read=lambda length: b"")

    assert (answer.status, answer.headers) == (503, {"Retry-After": "5"})
    connections.close_all()


def test_nothing_else_is_posted(sender):
    assert sender.post(an_event("1"), path="/push/switch")[0] == 404
    assert sender.post(an_event("1"), path="/metrics")[0] == 404
