"""charging.yaml: read exactly, refused with place and cure, kept in versions; and the map that doors ask."""

from fractions import Fraction

import pytest
from tests.charging.people.builders import EUR, NOW, an_operator, later

from millicent.catalog.types import Measure, ServiceSpecification
from millicent.charging.declared import Bonus, best_bonus
from millicent.charging.declaring import read_charging
from millicent.charging.services.declare_services import declare_services, declared_charging, service_map
from millicent.charging.types import NO_SERVICE, NOT_SAID, FinalAction, Unit
from millicent.charging.types_map import DEFAULT_POLICIES, ServiceEntry, ServiceMap, ServiceRule, default_service_map
from millicent.kit.errors import BadInput

SPECIFICATIONS = {
    code: ServiceSpecification(code=code, names={"en": code}, measure=measure, unit=unit)
    for code, measure, unit in (
        ("voice", Measure.DURATION, "second"),
        ("data", Measure.TOTAL_VOLUME, "byte"),
        ("iptv", Measure.EVENTS, "rental"),
        ("sms", Measure.EVENTS, "message"),
    )
}
WHOLE = """\
services:
  - {context: 32251@3gpp.org, rating_group: [10, 20], service: data}
  - {context: 32251@3gpp.org, rating_group: 10, service_id: 7, service: iptv, call_type: stream}
policies:
  data:
    slice: 20 MB
    most: 1 GB
    least: 100 kB
    share: 4
    validity: 30 min
    holding: 90 s
    threshold: 25%
    final: redirect
    redirect_address: https://top-up.example.org
thresholds: {low_balance: {EUR: 2.50}, part_used: 75%, expiry_near: 5 days, allowance_expiry_near: 1 day}
policy_counters:
  bundle: {of: mobile/data, statuses: [{at: 80%, status: nearly used}, {at: 100%, status: exhausted}]}
  spend: {of: spending, begins: free, statuses: [{at: 50%, status: half}]}
top_ups:
  least: {EUR: 5}
  valid: 365 days
  grace: 14 days
  bonuses:
    - {code: spring, currency: EUR, least: 20.00, share: 12.5%, most: 10, valid: 30 days, channels: [voucher],
       from: 2026-03-01, until: "2026-06-01"}
transfers: {allowed: false}
adjustments: {alone_up_to: {EUR: 20}}
emergency_credit: [{currency: EUR, amount: 3, fee: 0.30, below: 1}]
credit_limits: {EUR: 200}
vouchers: {wrong_codes: 3, locked_for: 2 h}
"""


def read(text: str):
    return read_charging(text, specifications=SPECIFICATIONS, where="charging.yaml", zone="Europe/Madrid")


def test_a_declaration_is_read_to_the_nano():
    declared = read(WHOLE)

    data = declared.policies["data"]
    assert (data.slice_units, data.most_units, data.least_units, data.share) == (20_000_000, 10**9, 100_000, 4)
    assert (data.validity_seconds, data.grace_seconds, data.holding_seconds) == (1800, 300, 90)
    assert (data.threshold_percent, data.final) == (25, FinalAction.REDIRECT)
    assert declared.thresholds.low_balance == {"EUR": 5 * EUR // 2}
    assert (declared.thresholds.part_used_percent, declared.thresholds.expiry_near_days) == (75, 5)
    assert declared.thresholds.allowance_expiry_near_days == 1
    bundle, spend = declared.policy_counters
    assert [bundle.status(state) for state in range(3)] == ["normal", "nearly used", "exhausted"]
    assert (bundle.allowance, spend.allowance, spend.begins, spend.statuses) == (
        "mobile/data", "", "free", [(50, "half")])  # fmt: skip
    (bonus,) = declared.top_ups.bonuses
    assert (bonus.share, bonus.most_nanos, bonus.channels) == (Fraction(1, 8), 10 * EUR, ("voucher",))
    assert (declared.advances[0].amount_nanos, declared.advances[0].fee_nanos) == (3 * EUR, 3 * EUR // 10)
    assert (declared.top_ups.grace_days, declared.transfers.allowed, declared.alone) == (14, False, {"EUR": 20 * EUR})
    assert (declared.vouchers.wrong_codes, declared.vouchers.locked_seconds) == (3, 7200)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("polices: {}", "charging.yaml: polices: has no meaning here"),
        ("services: [{context: c, service: dta}]", "the catalogue has no service 'dta'"),
        ("policies: {data: {slice: 10 min}}", "policies.data.slice: '10 min' is not what this service counts"),
        ("policies: {data: {slice: 1 MB, least: 2 MB}}", "policies.data.least: is more than the slice"),
        ("policies: {voice: {final: redirect}}", "policies.voice.final: needs redirect_address"),
        ("policies: {voice: {final: explode}}", "policies.voice.final: cannot be 'explode'"),
        ("top_ups: {bonuses: [{code: b, currency: EUR}]}", "top_ups.bonuses[1].share: gives nothing"),
        ("credit_limits: {EUR: -1}", "credit_limits.EUR: is below zero"),
        ("emergency_credit: [{currency: EUR}]", "emergency_credit[1].amount: is missing"),
        ("thresholds: {part_used: 120%}", "thresholds.part_used: cannot be"),
        (
            "policy_counters: {b: {of: data, statuses: [{at: 80%, status: s}]}}",
            "policy_counters.b.of: 'data' is no allowance",
        ),
        ("policy_counters: {b: {of: spending}}", "policy_counters.b.statuses: has no rising shares"),
        (
            "policy_counters: {b: {of: o/a, statuses: [{at: 80%, status: s}, {at: 50%, status: t}]}}",
            "policy_counters.b.statuses: has no rising shares",
        ),
        ("policy_counters: {b: {of: o/a, statuses: [{status: s}]}}", "statuses[1].at: is missing or nothing"),
        (
            "policy_counters: {b: {of: o/a, statuses: [{at: 1%, status: s}]}, "
            "c: {of: o/a, statuses: [{at: 1%, status: s}]}}",
            "policy_counters.c.of: looks at what b looks at",
        ),
        ("- a list", "the declaration cannot be ['a list']"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text, says):
    with pytest.raises(BadInput) as refusal:
        read(text)

    assert says in refusal.value.message


def test_the_rule_that_says_most_names_the_service():
    services = ServiceMap(read(WHOLE).services or ())

    assert services.service_for("32251@3gpp.org", 10) == ServiceEntry(service="data", unit=Unit.TOTAL_OCTETS)
    found = services.service_for("32251@3gpp.org", 10, 7)
    assert found is not None
    assert (found.service, found.unit, found.call_type) == ("iptv", Unit.SERVICE_UNITS, "stream")
    assert services.service_for("32251@3gpp.org", 30) is None
    assert services.service_for("32260@3gpp.org", 10) is None


def test_a_context_may_carry_its_release_and_its_operator():
    services = ServiceMap([ServiceRule(context="32251@3gpp.org", entry=ServiceEntry(service="data", unit=Unit(1)))])

    for context in ("32251@3gpp.org", "8.32251@3gpp.org", "mnc01.mcc214.8.32251@3gpp.org"):
        assert services.service_for(context, 5, NO_SERVICE) is not None
    assert services.service_for("132251@3gpp.org", 5) is None


def test_without_a_declaration_the_catalogue_suggests_the_map():
    services = default_service_map(SPECIFICATIONS)

    named = {context: services.service_for(context, 1) for context in ("32251@3gpp.org", "32260@3gpp.org",
                                                                       "32274@3gpp.org", "radius")}  # fmt: skip
    assert {context: entry and entry.service for context, entry in named.items()} == {
        "32251@3gpp.org": "data",
        "32260@3gpp.org": "voice",
        "32274@3gpp.org": "sms",
        "radius": "data",
    }


def test_a_service_without_a_policy_of_its_own_has_that_of_its_kind():
    assert ServiceMap([]).policy_for("voice", Unit.SECONDS) == DEFAULT_POLICIES[Unit.SECONDS]
    assert ServiceMap([]).policy_for("voice", Unit.SECONDS).holding_seconds == NOT_SAID


def test_a_declaration_is_kept_in_versions_and_the_last_one_holds(tenant):
    an_operator()
    assert declared_charging().version == 0

    first = declare_services("transfers: {allowed: false}", who="ana", now=NOW)
    again = declare_services("transfers: {allowed: false}", who="ana", now=later(NOW, hours=1))
    second = declare_services("services: [{context: c, service: data}]", who="ana", now=later(NOW, hours=2))

    assert (first.version, again.version, second.version) == (1, 1, 2)
    assert declared_charging().transfers.allowed
    assert service_map().services() == {"data": Unit.TOTAL_OCTETS}


def test_a_wrong_declaration_leaves_the_old_one_in_force(tenant):
    an_operator()
    declare_services("transfers: {allowed: false}", who="ana", now=NOW)

    with pytest.raises(BadInput):
        declare_services("services: [{context: c, service: nothing}]", who="ana", now=NOW)

    assert (declared_charging().version, declared_charging().transfers.allowed) == (1, False)


@pytest.mark.parametrize(
    ("amount", "channel", "given"),
    [
        (1999, "agent", None),
        (2000, "agent", ("tenth", 200)),
        (2009, "agent", ("tenth", 200)),
        (9000, "agent", ("tenth", 500)),
        (2000, "voucher", ("printed", 300)),
    ],
)
def test_the_best_bonus_is_given_in_whole_cents_and_capped(amount, channel, given):
    cent = EUR // 100
    bonuses = (
        Bonus(code="tenth", currency="EUR", least_nanos=20 * EUR, share=Fraction(1, 10), most_nanos=5 * EUR),
        Bonus(code="printed", currency="EUR", least_nanos=0, fixed_nanos=3 * EUR, channels=("voucher",)),
        Bonus(code="over", currency="EUR", least_nanos=0, fixed_nanos=99 * EUR, until_ms=1),
    )

    found = best_bonus(bonuses, amount_nanos=amount * cent, currency="EUR", channel=channel, at_ms=10, step_nanos=cent)

    assert (found and (found[0].code, found[1] // cent)) == given
