"""`millicent up`: answers on the loopback only, survives a failing work, stops cleanly when told to."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from urllib.error import HTTPError

import pytest
from tests.kit.builders import NOW, a_tenant

from millicent.config.health import HealthServer
from millicent.config.works import WORKS, Declared, do_work, load_works
from millicent.kit import metrics
from millicent.kit.errors import Refusal


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@pytest.fixture
def server():
    stores = {"database": "ok", "lake": "ok"}
    started = HealthServer(port=0, health=lambda: stores)
    started.start()
    yield started, stores
    started.stop()


def test_health_is_one_word_for_each_store(server):
    started, stores = server
    url = f"http://127.0.0.1:{started.port}/healthz"

    assert fetch(url) == (200, '{"database": "ok", "lake": "ok"}')
    stores["lake"] = "silent: OSError"
    assert fetch(url) == (503, '{"database": "ok", "lake": "silent: OSError"}')


def test_metrics_are_shown_in_prometheus_format(server):
    started, _ = server
    metrics.count_records("test_stage", accepted=3, suspended=1)

    status, text = fetch(f"http://127.0.0.1:{started.port}/metrics")

    assert status == 200
    assert 'millicent_records_total{outcome="accepted",stage="test_stage"} 3.0' in text
    assert 'millicent_records_total{outcome="suspended",stage="test_stage"} 1.0' in text


def test_there_is_nothing_else_to_see(server):
    started, _ = server

    assert fetch(f"http://127.0.0.1:{started.port}/")[0] == 404
    assert started._server.server_address[0] == "127.0.0.1"


def test_a_work_that_fails_is_counted_and_the_next_one_still_runs():
    tenant = a_tenant()
    done = []

    def refuse(**_):
        raise Refusal("not now")

    def break_down(**_):
        raise KeyError("x")

    def succeed(*, tenant_id, now):
        done.append((tenant_id, now))
        return 2

    def faults(code):
        return metrics.FAULTS.labels(code=code)._value.get()

    refused, broken = faults("refused"), faults("defect")
    assert do_work("a", refuse, tenant_id=tenant, now=NOW) == 0
    assert do_work("b", break_down, tenant_id=tenant, now=NOW) == 0
    assert do_work("c", succeed, tenant_id=tenant, now=NOW) == 2

    assert done == [(tenant, NOW)]
    assert (faults("refused"), faults("defect")) == (refused + 1, broken + 1)


def test_a_work_is_named_by_its_function():
    works = load_works({"clock": Declared(function="millicent.kit.clock:system_now", every_seconds=5)})

    assert works["clock"].__name__ == "system_now"
    assert set(load_works()) == set(WORKS)


def test_up_answers_until_it_is_told_to_stop():
    running = subprocess.Popen(
        [sys.executable, "-m", "millicent", "up", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert running.stderr is not None
    said = running.stderr.readline()
    url = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert url is not None, said + running.stderr.read()
    status, text = fetch(f"{url.group()}/healthz")
    assert (status, json.loads(text)) == (200, {"database": "ok", "lake": "ok"})

    running.send_signal(signal.SIGTERM)
    _, rest = running.communicate(timeout=60)

    assert (running.returncode, rest) == (0, "millicent has stopped\n")
