"""`millicent catalog plan --month`: the usage of a past month in the money of both catalogues."""

import json

import pytest
from tests.billing.builders import at
from tests.catalog.builders import OFFERING, SPECIFICATIONS, TARIFF, some_files
from tests.stories.stored import AWAY, NOWHERE, a_stored_call, open_stored_operator, put_in_lake
from typer.testing import CliRunner

from millicent.config.commands import catalog
from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.kit.errors import BadInput
from millicent.kit.models import Tenant

FIVE_MINUTES = OFFERING + "allowances:\n  - {code: minutes, when: {service: voice, zone: world/home}, amount: 5 min}\n"


@pytest.fixture
def plan(tenant_id, monkeypatch, tmp_path):
    """Plan a changed catalogue. In October C-1 calls home for ten minutes and C-2 away for two; C-3 calls nowhere."""
    monkeypatch.setenv("MILLICENT_TENANT", Tenant.objects.get(id=tenant_id).code)
    settings.cache_clear()
    open_stored_operator(tenant_id, customers=("C-1", "C-2", "C-3"))
    put_in_lake(
        tenant_lake(tenant_id),
        a_stored_call(tenant_id, "C-1", at(2024, 9, 30, 23), seconds=6000),
        a_stored_call(tenant_id, "C-1", at(2024, 10, 5, 12), seconds=600),
        a_stored_call(tenant_id, "C-2", at(2024, 10, 31, 23), seconds=120, other_party=AWAY),
        a_stored_call(tenant_id, "C-3", at(2024, 10, 6, 12), seconds=60, other_party=NOWHERE),
    )

    def planned(changes, *arguments):
        for path, content in some_files(changes).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        return CliRunner().invoke(catalog.app, ["plan", str(tmp_path), *arguments], catch_exceptions=False).stdout

    yield planned
    settings.cache_clear()


def effect_of(plan, changes, *arguments):
    return json.loads(plan(changes, "--month", "2024-10", "--json", *arguments))["effect"]


def test_prices_and_allowances_of_both_catalogues_are_compared_on_the_usage_of_the_month(plan):
    dearer = {"offerings/plan.yaml": FIVE_MINUTES, "tariffs/basic.yaml": TARIFF.replace("0.30/min", "0.45/min")}

    effect = effect_of(plan, dearer)

    assert effect["totals"] == [{"before": "1.60", "after": "1.40", "change": "-0.20", "currency": "EUR"}]
    assert [(row["billing account"], row["before"], row["after"], row["change"]) for row in effect["worst"]] == [
        ("C-1", "1.00", "0.50", "-0.50"),
        ("C-2", "0.60", "0.90", "0.30"),
    ]
    assert (effect["payers"], effect["usages"], effect["priced"]) == (3, 3, {"before": 2, "after": 2})


def test_usage_that_would_lose_its_price_is_counted(plan):
    no_more_away = {"tariffs/basic.yaml": TARIFF.replace("  - {code: away", "  # - {code: away")}

    effect = effect_of(plan, no_more_away)

    assert effect["priced"] == {"before": 2, "after": 1}
    assert effect["affected_accounts"] == 1


def test_payers_of_a_plan_that_is_no_longer_sold_are_named_and_left_out(plan):
    effect = effect_of(plan, {"offerings/plan.yaml": OFFERING.replace("code: plan", "code: other")})

    assert (effect["left_out"], effect["usages"]) == (["C-1", "C-2", "C-3"], 0)


def test_a_sample_of_the_payers_is_rated_when_asked_for(plan):
    whole = effect_of(plan, {"specifications.yaml": SPECIFICATIONS})
    sampled = effect_of(plan, {"specifications.yaml": SPECIFICATIONS}, "--buckets", "1")

    assert (whole["payers"], whole["affected_accounts"]) == (3, 0)
    assert sampled["payers"] < 3


def test_a_person_sees_the_changes_and_what_they_come_to(plan):
    said = plan({"tariffs/basic.yaml": TARIFF.replace("0.30/min", "0.45/min")}, "--month", "2024-10")

    assert "Most affected of 1 accounts" in said
    assert "3 usages of 3 payers: 2 had a price, 2 would have one. Fees, discounts and taxes are not in it." in said
    with pytest.raises(BadInput, match="'last' is no month"):
        plan({}, "--month", "last")
