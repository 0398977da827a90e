"""charging.yaml as a whole: service map, slices, thresholds, rules of balances."""

from collections.abc import Mapping

from millicent.catalog.loading.units import COUNTED, UnitKind
from millicent.catalog.types import ServiceSpecification
from millicent.charging.declared import (
    Advance,
    Bonus,
    DeclaredCharging,
    PolicyCounter,
    PrepaidRules,
    ThresholdRules,
    TopUpRules,
    TransferRules,
    VoucherRules,
)
from millicent.charging.declaring.part import Part
from millicent.charging.types import NO_LIMIT, NOT_SAID, FinalAction, Unit
from millicent.charging.types_map import DEFAULT_POLICIES, QuotaPolicy, ServiceEntry, ServiceRule, entry_of
from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput

Specifications = Mapping[str, ServiceSpecification]
_KINDS = {
    Unit.SECONDS: UnitKind.TIME,
    Unit.TOTAL_OCTETS: UnitKind.VOLUME,
    Unit.INPUT_OCTETS: UnitKind.VOLUME,
    Unit.OUTPUT_OCTETS: UnitKind.VOLUME,
    Unit.SERVICE_UNITS: UnitKind.COUNT,
}
_FINAL = {each.name.lower(): each for each in FinalAction if each is not FinalAction.NONE}
MOST_STATUSES, MOST_PERCENT = 5, 500  # of a policy counter: as many as the shard keeps
SPENDING = "spending"
_USAGE_FROM = {"online": True, "files": False}
_CHARGED = {"live": True, "files": False}
_UNPAID = {"no_allowances": False, "barred": True}
_TAXED = {"used": False, "sold": True}
_DIRECTIONS = {each: each for each in ("originating", "terminating", "forwarded")}


def read_charging(
    text: str, *, specifications: Specifications, where: str = "", zone: str = "UTC", version: int = 0
) -> DeclaredCharging:
    """Read and check a declaration against the services of a catalogue. Raises BadInput with place and cure."""
    whole = Part(read_declaration(text, where=where, decimals_as_text=True), where=where, zone=zone)
    services = [rule for part in whole.parts("services") for rule in _rules(part, specifications=specifications)]
    declared = DeclaredCharging(
        version=version,
        services=services or None,
        online_services=_online_services(whole.part("usage_from"), specifications=specifications),
        policies={
            code: _policy(part, specification=_specification(code, part, specifications=specifications))
            for code, part in whole.by_code("policies").items()
        },
        thresholds=_thresholds(whole.part("thresholds")),
        policy_counters=_policy_counters(whole),
        top_ups=_top_ups(whole.part("top_ups")),
        transfers=_transfers(whole.part("transfers")),
        alone=_adjustments(whole.part("adjustments")),
        advances=[_advance(part) for part in whole.parts("emergency_credit")],
        credit_limits=whole.amounts("credit_limits"),
        vouchers=_vouchers(whole.part("vouchers")),
        prepaid=_prepaid(whole.part("prepaid"), specifications=specifications),
    )
    whole.done()
    return declared


def read_policy_counters(text: str, *, where: str = "") -> list[PolicyCounter]:
    """The policy counters alone of a declaration that was checked once, whatever the catalogue has become since."""
    return _policy_counters(Part(read_declaration(text, where=where, decimals_as_text=True), where=where))


def _online_services(part: Part, *, specifications: Specifications) -> frozenset[str]:
    """Services whose usage comes from charging itself; all others' comes in files."""
    for service in part.values:
        _known_service(service, part=part, specifications=specifications)
    found = frozenset(each for each in part.values if part.choice(each, _USAGE_FROM, default=False))
    part.done()
    return found


def _rules(part: Part, *, specifications: Specifications) -> list[ServiceRule]:
    """One entry may name several rating groups and service identifiers."""
    entry = entry_of(_specification(part.text("service"), part, specifications=specifications))
    entry = ServiceEntry(
        service=entry.service,
        unit=entry.unit,
        direction=part.choice("direction", _DIRECTIONS, "originating"),
        call_type=part.text("call_type", ""),
    )
    rules = [
        ServiceRule(context=part.text("context"), group=group, service_id=service_id, entry=entry)
        for group in part.wholes("rating_group")
        for service_id in part.wholes("service_id")
    ]
    part.done()
    return rules


def _specification(code: str, part: Part, *, specifications: Specifications) -> ServiceSpecification:
    if code not in specifications:
        known = ", ".join(specifications) or "none: release a catalogue first"
        raise BadInput(f"the catalogue has no service {code!r}", where=part.at("service"), cure=f"It has {known}.")
    return specifications[code]


def _policy(part: Part, *, specification: ServiceSpecification) -> QuotaPolicy:
    unit = entry_of(specification).unit
    usual = DEFAULT_POLICIES[unit]
    kind, counted = _KINDS[unit], {*COUNTED, specification.unit}
    policy = QuotaPolicy(
        slice_units=part.quantity("slice", usual.slice_units, kind=kind, counted=counted),
        most_units=part.quantity("most", NO_LIMIT, kind=kind, counted=counted),
        least_units=part.quantity("least", usual.least_units, kind=kind, counted=counted),
        share=part.whole("share", usual.share, least=1, most=1000),
        validity_seconds=part.seconds("validity", usual.validity_seconds),
        grace_seconds=part.seconds("grace", usual.grace_seconds, least=0),
        holding_seconds=part.seconds("holding", NOT_SAID, least=0),
        threshold_percent=part.percent("threshold", usual.threshold_percent, most=99),
        final=part.choice("final", _FINAL, usual.final),
        redirect_address=part.text("redirect_address", ""),
        filter_ids=part.texts("filter_ids"),
    )
    if policy.final is FinalAction.REDIRECT and not policy.redirect_address:
        raise BadInput("needs redirect_address", where=part.at("final"), cure="Say where the customer is led.")
    if policy.least_units > policy.slice_units:
        raise BadInput("is more than the slice", where=part.at("least"), cure="Write less, or a larger slice.")
    part.done()
    return policy


def _thresholds(part: Part) -> ThresholdRules:
    usual = ThresholdRules()
    rules = ThresholdRules(
        low_balance=part.amounts("low_balance"),
        part_used_percent=part.percent("part_used", usual.part_used_percent, most=99),
        expiry_near_days=part.days("expiry_near", usual.expiry_near_days) or usual.expiry_near_days,
        allowance_expiry_near_days=part.days("allowance_expiry_near", None) or usual.allowance_expiry_near_days,
    )
    part.done()
    return rules


def _policy_counters(whole: Part) -> list[PolicyCounter]:
    """Counters by code; no two look at the same allowance, or at spending."""
    found: dict[str, PolicyCounter] = {}
    for code, part in whole.by_code("policy_counters").items():
        counter = _policy_counter(code, part)
        if counter.allowance in found:
            other = found[counter.allowance].code
            raise BadInput(f"looks at what {other} looks at", where=part.at("of"), cure="Put their statuses together.")
        found[counter.allowance] = counter
    return list(found.values())


def _policy_counter(code: str, part: Part) -> PolicyCounter:
    of, steps = part.text("of"), [_step(each) for each in part.parts("statuses")]
    percents = [percent for percent, _ in steps]
    if not 1 <= len(steps) <= MOST_STATUSES or percents != sorted(set(percents)):
        cure = f"List one to {MOST_STATUSES} statuses, from the smallest share to the largest."
        raise BadInput("has no rising shares", where=part.at("statuses"), cure=cure)
    if of != SPENDING and "/" not in of:
        raise BadInput(f"{of!r} is no allowance", where=part.at("of"), cure=f"Write offering/allowance, or {SPENDING}.")
    begins = part.text("begins", "normal")
    part.done()
    return PolicyCounter(code=code, allowance="" if of == SPENDING else of, begins=begins, statuses=steps)


def _step(part: Part) -> tuple[int, str]:
    percent, status = part.percent("at", 0, most=MOST_PERCENT), part.text("status")
    if percent < 1:
        raise BadInput("is missing or nothing", where=part.at("at"), cure="Write a share, such as 80%.")
    part.done()
    return percent, status


def _top_ups(part: Part) -> TopUpRules:
    usual = TopUpRules()
    grace_days = part.days("grace", usual.grace_days) if part.values.get("grace") != 0 else 0
    part.has("grace")
    rules = TopUpRules(
        least=part.amounts("least"),
        most=part.amounts("most"),
        valid_days=part.days("valid", None),
        grace_days=usual.grace_days if grace_days is None else grace_days,
        bonuses=[_bonus(each) for each in part.parts("bonuses")],
    )
    part.done()
    return rules


def _bonus(part: Part) -> Bonus:
    currency = part.text("currency")
    bonus = Bonus(
        code=part.text("code"),
        currency=currency,
        least_nanos=part.money("least", currency, 0),
        fixed_nanos=part.money("amount", currency, 0),
        share=part.share("share"),
        most_nanos=part.money("most", currency) if part.has("most") else None,
        valid_days=part.days("valid", None),
        priority=part.whole("priority", 10, most=1000),
        channels=part.texts("channels"),
        from_ms=part.instant_ms("from"),
        until_ms=part.instant_ms("until"),
    )
    if bonus.share < 0 or (bonus.share == 0 and bonus.fixed_nanos == 0):
        raise BadInput("gives nothing", where=part.at("share"), cure='Write amount: "5.00" or share: "10%".')
    part.done()
    return bonus


def _transfers(part: Part) -> TransferRules:
    rules = TransferRules(allowed=part.flag("allowed", True), least=part.amounts("least"), most=part.amounts("most"))
    part.done()
    return rules


def _adjustments(part: Part) -> Mapping[str, int]:
    alone = part.amounts("alone_up_to")
    part.done()
    return alone


def _advance(part: Part) -> Advance:
    currency = part.text("currency")
    advance = Advance(
        currency=currency,
        amount_nanos=part.money("amount", currency),
        fee_nanos=part.money("fee", currency, 0),
        below_nanos=part.money("below", currency, 0),
    )
    part.done()
    return advance


def _vouchers(part: Part) -> VoucherRules:
    usual = VoucherRules()
    rules = VoucherRules(
        wrong_codes=part.whole("wrong_codes", usual.wrong_codes, least=1, most=100),
        locked_seconds=part.seconds("locked_for", usual.locked_seconds),
    )
    part.done()
    return rules


def _prepaid(part: Part, *, specifications: Specifications) -> PrepaidRules:
    usual = PrepaidRules()
    charged, unpaid, tax = part.part("charged"), part.part("unpaid"), part.part("tax")
    for service in charged.values:
        _known_service(service, part=charged, specifications=specifications)
    rules = PrepaidRules(
        charged_live={str(each): charged.choice(each, _CHARGED, default=True) for each in charged.values},
        bar_unpaid=unpaid.choice("then", _UNPAID, usual.bar_unpaid),
        grace_days=unpaid.days("grace", usual.grace_days) or 0,
        retry_seconds=unpaid.seconds("retry", usual.retry_seconds, least=60),
        tax_when_sold=tax.choice("when", _TAXED, usual.tax_when_sold),
        tax_category=tax.text("category", ""),
    )
    if rules.tax_when_sold and not rules.tax_category:
        raise BadInput("needs category", where=tax.at("when"), cure="Name the tax category of all that can be bought.")
    for each in (charged, unpaid, tax, part):
        each.done()
    return rules


def _known_service(service: str, *, part: Part, specifications: Specifications) -> None:
    if service not in specifications:
        known = ", ".join(specifications) or "none: release a catalogue first"
        raise BadInput(f"the catalogue has no service {service!r}", where=part.at(service), cure=f"It has {known}.")
