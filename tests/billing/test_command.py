"""`millicent bill` as an operator types it: stored facts, the configured tenant, the lake of the home folder."""

import json

import pytest
from tests.billing.builders import at
from tests.stories.stored import a_stored_call, open_stored_operator, put_in_lake
from typer.testing import CliRunner

from millicent.config.commands import bill
from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.kit.errors import BadInput
from millicent.kit.models import Tenant

SEPTEMBER = ("--through", "2024-10-01", "--zone", "Europe/Madrid")


@pytest.fixture
def run(tenant_id, monkeypatch):
    """The command for a tenant with two customers; C-1 called home for ten minutes."""
    monkeypatch.setenv("MILLICENT_TENANT", Tenant.objects.get(id=tenant_id).code)
    settings.cache_clear()
    open_stored_operator(tenant_id, customers=("C-1", "C-2"))
    put_in_lake(tenant_lake(tenant_id), a_stored_call(tenant_id, "C-1", at(2024, 9, 5, 12), seconds=600))

    def command(*arguments):
        return CliRunner().invoke(bill.app, list(arguments), catch_exceptions=False).stdout

    yield command
    settings.cache_clear()


@pytest.fixture
def number(run):
    """The bill of C-1, which has the call."""
    run("release", *SEPTEMBER, "--workers", "1")
    (issued,) = json.loads(run("list", "--payer", "C-1", "--json"))
    return issued["number"]


def test_a_rehearsal_says_what_would_be_issued_and_issues_nothing(run):
    found = json.loads(run("rehearse", *SEPTEMBER, "--json"))

    assert (found["payers"], found["bills"], found["usage_in"], found["usage_billed"]) == (2, 2, 1, 1)
    assert found["totals"] == {"EUR": 49_610_000_000}
    assert json.loads(run("list", "--json")) == []
    assert "Rehearsal" in run("rehearse", *SEPTEMBER)


def test_a_release_issues_once_and_then_says_that_nobody_is_due(run):
    (report,) = json.loads(run("release", *SEPTEMBER, "--workers", "1", "--json"))

    assert (report["state"], report["bills"], report["parked"]) == ("released", 2, 0)
    assert json.loads(run("release", *SEPTEMBER, "--json")) == []
    assert [each["total_nanos"] for each in json.loads(run("list", "--json"))] == [25_410_000_000, 24_200_000_000]


def test_a_released_run_can_be_looked_at(run, number):
    assert "Run 1: released" in run("run-status")
    assert json.loads(run("run-status", "--json"))[0]["usage_billed"] == 1


def test_a_bill_is_shown_with_its_lines_and_taxes(run, number):
    shown = json.loads(run("show", number, "--json"))

    assert [(line["kind"], line["net_nanos"]) for line in shown["lines"]] == [
        ("recurring", 10_000_000_000),
        ("recurring", 10_000_000_000),
        ("usage", 1_000_000_000),
    ]
    assert [(tax["tax"], tax["amount_nanos"]) for tax in shown["taxes"]] == [("vat", 4_410_000_000)]
    assert "25.41 EUR" in run("show", number)


@pytest.mark.parametrize("ending", ["pdf", "html", "json"])
def test_a_bill_is_written_with_its_calls(run, number, tmp_path, ending):
    file = tmp_path / f"bill.{ending}"

    answer = json.loads(run("document", number, "--out", str(file), "--json"))

    assert (answer["number"], answer["bytes"]) == (number, file.stat().st_size)
    if ending == "html":
        assert "34910000000" in file.read_text()


def test_revenue_is_recognised_once(run, number):
    assert json.loads(run("recognise", "2024-09-30", "--json"))["entries posted"] == 30
    assert json.loads(run("recognise", "2024-09-30", "--json"))["entries posted"] == 0


@pytest.mark.parametrize("arguments", [("rehearse", "--through", "soon"), ("recognise", "soon")])
def test_a_word_that_is_no_day_is_refused_with_its_cure(run, arguments):
    with pytest.raises(BadInput, match="Write it as 2026-11-01"):
        run(*arguments)
