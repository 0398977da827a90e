"""Revenue billed in advance is earned day by day, and the days add up to the line."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from tests.billing.builders import EUR, a_fee, a_moment, a_subscription, a_version, an_offering, at, facts
from tests.catalog.builders import examined
from tests.stories.operator import BillingOffice

from millicent.billing.rules.recognition import DeferredLine, days_of, revenue_by_day
from millicent.billing.services.recognise_revenue import recognise_revenue
from millicent.catalog.services.release_catalogue import release_catalogue
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.types import SubscriptionStatus


def a_line(net_nanos, *, first_day=100, day_count=30, recognised_until_day=None):
    return DeferredLine(
        currency="EUR",
        ledger_code="recurring",
        revenue_account="revenue:recurring",
        net_nanos=net_nanos,
        first_day=first_day,
        day_count=day_count,
        recognised_until_day=recognised_until_day,
    )


def by_day(lines, *, from_day, until_day):
    days = revenue_by_day(lines, from_day=from_day, until_day=until_day)
    return {day.day: sum(day.nanos.values()) for day in days}


@given(
    net_nanos=st.integers(-(10**15), 10**15),
    day_count=st.integers(1, 400),
    stops=st.lists(st.integers(90, 520), min_size=1, max_size=5),
)
def test_the_days_of_a_line_add_up_to_the_line_wherever_runs_stopped(net_nanos, day_count, stops):
    earned, last = 0, None
    for stop in sorted({*stops, 600}):
        line = a_line(net_nanos, day_count=day_count, recognised_until_day=last)
        earned += sum(by_day([line], from_day=last if last is not None else 100, until_day=stop).values())
        last = stop
    assert earned == net_nanos


def test_a_line_billed_after_its_days_had_begun_earns_the_past_on_the_first_day():
    assert by_day([a_line(30 * EUR)], from_day=110, until_day=112) == {110: 11 * EUR, 111: EUR}


def test_a_local_month_has_whole_days_wherever_it_is():
    madrid = days_of(from_ms=at(2026, 10, 1), until_ms=at(2026, 11, 1))  # 31 days and an hour
    auckland = days_of(
        from_ms=at(2026, 10, 1, zone="Pacific/Auckland"), until_ms=at(2026, 11, 1, zone="Pacific/Auckland")
    )

    assert madrid[1] == auckland[1] == 31


def an_office(tenant_id, *versions):
    with tenant_scope(tenant_id):
        release_catalogue(examination=examined(), effective_from_ms=0, author="ana", recorded_at_ms=0)
    return BillingOffice(
        tenant_id=tenant_id,
        facts=facts(
            an_offering("plan", recurring=(a_fee(30 * EUR),)),
            subscriptions=[a_subscription(*versions)] if versions else None,
        ),
    )


def recognise(office, day, *, now=None):
    with tenant_scope(office.tenant_id):
        return recognise_revenue(through=date(2026, *day), now=now or a_moment(2026, 12, 1))


def test_a_day_is_earned_once_however_often_it_is_asked_for(tenant_id):
    office = an_office(tenant_id)
    office.release_month(10)

    assert recognise(office, (9, 10)) == 10
    assert recognise(office, (9, 10)) == recognise(office, (9, 5)) == 0

    assert office.balance("revenue:recurring") == -10_00
    assert office.balance("liability:deferred:recurring") == -50_00


def test_when_every_period_has_passed_nothing_is_deferred_any_more(tenant_id):
    office = an_office(tenant_id)
    office.release_month(10)
    recognise(office, (9, 20))
    office.release_month(11)

    recognise(office, (11, 30))

    assert office.balance("revenue:recurring") == -90_00
    assert office.balance("liability:deferred:recurring") == 0


def test_an_advance_that_is_given_back_takes_its_revenue_back(tenant_id):
    office = an_office(tenant_id)
    office.release_month(10)
    recognise(office, (10, 31))
    assert office.balance("revenue:recurring") == -60_00
    ended = (
        a_version(at(2026, 9, 1), at(2026, 10, 11)),
        a_version(at(2026, 10, 11), status=SubscriptionStatus.TERMINATED, recorded_at_ms=at(2026, 10, 11)),
    )
    office.facts = office.facts.with_subscriptions(a_subscription(*ended))
    office.release_month(11)
    credit = office.lines()[0][2]

    recognise(office, (11, 1))

    assert credit == -20_32
    assert office.balance("revenue:recurring") == -60_00 - credit
    assert office.balance("liability:deferred:recurring") == 0
