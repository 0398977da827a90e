"""Offerings: what a customer can have, what it costs, what it includes."""

from collections.abc import Mapping

from millicent.catalog.loading.allowances import read_allowance
from millicent.catalog.loading.matching import Specifications
from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.scopes import read_scope
from millicent.catalog.loading.units import parse_days, parse_period
from millicent.catalog.types import (
    MONTHLY,
    Commitment,
    Discount,
    Eligibility,
    Offering,
    OneTimePrice,
    OneTimeTrigger,
    Payment,
    Proration,
    RecurringPrice,
    Tariff,
)


def read_offering(
    section: Section,
    *,
    specifications: Specifications,
    tariffs: Mapping[str, Tariff],
    discounts: Mapping[str, Discount],
) -> Offering:
    tariff = tariffs.get(section.text("tariff"))
    currency = tariff.currency if tariff else section.reading.currency
    calendar = tariff.calendar if tariff else ""
    held = section.section("eligibility")
    _check_codes(section)
    return Offering(
        code=section.text("code"),
        names=section.names(),
        services=section.refer_all("specification", "services"),
        tariff=section.refer("tariff", "tariff") or None,
        recurring=tuple(_recurring(part, default_currency=currency) for part in section.sections("recurring")),
        one_time=tuple(_one_time(part, default_currency=currency) for part in section.sections("one_time")),
        allowances=tuple(
            read_allowance(part, specifications=specifications, calendar=calendar, currency=currency)
            for part in section.sections("allowances")
        ),
        commitments=tuple(_commitment(part, default_currency=currency) for part in section.sections("commitments")),
        discounts=tuple(discounts[code] for code in section.refer_all("discount", "discounts") if code in discounts),
        children=section.refer_all("offering", "children"),
        eligibility=Eligibility(
            segments=held.words("segments"),
            countries=held.words("countries"),
            requires=held.refer_all("offering", "requires"),
            excludes=held.refer_all("offering", "excludes"),
        ),
        add_on=section.flag("add_on"),
        usage_tax_category=section.refer("tax category", "usage_tax_category", "standard"),
        usage_ledger_code=section.refer("ledger code", "usage_ledger", "usage"),
        payment=section.choice("payment", Payment, Payment.POSTPAID),
        where=section.where,
    )


def _check_codes(section: Section) -> None:
    """Prices and allowances of one offering are told apart by their codes."""
    for keys in (("recurring", "one_time", "commitments"), ("allowances",)):
        seen: set[str] = set()
        for part in (each for key in keys for each in section.sections(key)):
            if part.text("code") in seen:
                part.fault("code", f"this offering has {part.text('code')!r} twice", "Give one of them another code.")
            seen.add(part.text("code"))


def _recurring(section: Section, *, default_currency: str) -> RecurringPrice:
    currency = section.text("currency") or default_currency
    return RecurringPrice(
        code=section.text("code"),
        names=section.names(),
        amount_nanos=section.money("price", currency=currency),
        currency=currency,
        period=section.parsed("period", parse_period, default=MONTHLY),
        in_advance=section.text("billed", "in_advance") == "in_advance",
        proration=section.choice("proration", Proration, Proration.BY_DAY),
        bill_termination_day=section.flag("bill_termination_day", True),
        charged_while_suspended=section.flag("charged_while_suspended"),
        tax_category=section.refer("tax category", "tax_category", "standard"),
        ledger_code=section.refer("ledger code", "ledger", "recurring"),
        per_quantity=section.flag("per_quantity", True),
    )


def _one_time(section: Section, *, default_currency: str) -> OneTimePrice:
    currency = section.text("currency") or default_currency
    no_limit: int | None = None
    return OneTimePrice(
        code=section.text("code"),
        names=section.names(),
        amount_nanos=section.money("price", currency=currency),
        currency=currency,
        trigger=section.choice("on", OneTimeTrigger, OneTimeTrigger.ACTIVATION),
        within_days=section.parsed("within", parse_days, default=no_limit),
        tax_category=section.refer("tax category", "tax_category", "standard"),
        ledger_code=section.refer("ledger code", "ledger", "one_time"),
    )


def _commitment(section: Section, *, default_currency: str) -> Commitment:
    currency = section.text("currency") or default_currency
    if not (section.has("minimum") or section.has("maximum")):
        section.reading.fault(section.node, "a commitment has a minimum or a maximum", "Add `minimum:` or `maximum:`.")
    return Commitment(
        code=section.text("code"),
        names=section.names(),
        currency=currency,
        minimum_nanos=section.maybe_money("minimum", currency=currency),
        maximum_nanos=section.maybe_money("maximum", currency=currency),
        scope=read_scope(section.section("scope")),
        tax_category=section.refer("tax category", "tax_category", "standard"),
        ledger_code=section.refer("ledger code", "ledger", "commitment"),
    )
