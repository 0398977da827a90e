"""`millicent ledger`: what a person or a program reads, and how the command ends when the chain is broken."""

import json
from contextlib import contextmanager

import pytest
from tests.ledger.builders import NOW, a_bill_entry, a_thief
from typer.testing import CliRunner

from millicent.config.commands import ledger
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.errors import ChainIsBroken
from millicent.ledger.services.post_entries import post_entries


@pytest.fixture
def run(tenant_id, monkeypatch):
    @contextmanager
    def scope():
        with tenant_scope(tenant_id):
            yield tenant_id

    monkeypatch.setattr(ledger, "tenant_work", scope)
    with tenant_scope(tenant_id):
        post_entries([a_bill_entry()], now=NOW)

    def command(*arguments):
        return CliRunner().invoke(ledger.app, list(arguments), catch_exceptions=False)

    return command


def test_the_trial_balance_as_json_has_one_row_for_each_account(run):
    rows = json.loads(run("trial-balance", "--json").stdout)

    assert [(row["ledger account"], row["balance"]) for row in rows] == [
        ("asset:receivable", "121.00"),
        ("liability:tax:vat_es", "-21.00"),
        ("revenue:usage", "-100.00"),
    ]


def test_entries_are_shown_with_their_postings(run):
    (entry,) = json.loads(run("entries", "--reference", "bill:A-1", "--json").stdout)

    assert (entry["sequence"], entry["occurred_at"]) == (1, "2026-11-01T00:00:00+00:00")
    assert [posting["amount"] for posting in entry["postings"]] == ["121.00", "-100.00", "-21.00"]


def test_a_verified_head_can_be_given_back(run):
    head = run("verify").stdout.strip()

    assert json.loads(run("verify", "--json", "--head", head).stdout)["broken"] is None


def test_a_broken_chain_ends_the_command_as_a_defect(run, tenant_id):
    with a_thief(tenant_id) as thief:
        thief.execute("UPDATE ledger_entry SET currency = 'USD'")

    with pytest.raises(ChainIsBroken, match="entry 1 bill:A-1"):
        run("verify")


def test_a_period_closed_by_the_command_takes_nothing_more(run):
    assert json.loads(run("close-period", "--until", "2026-11-01", "--json").stdout)["closed_until_ms"] == 1793491200000


def test_a_day_that_is_none_is_refused_with_its_option(run):
    with pytest.raises(BadInput, match="--until: 'soon' is not a day"):
        run("trial-balance", "--until", "soon")
