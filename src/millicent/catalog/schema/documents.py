"""One schema for each kind of document, and the whole as published."""

import json

from millicent.catalog.schema.parts import (
    CODE,
    CURRENCY,
    INCREMENTS,
    LEDGER,
    MATCH,
    MONEY,
    NAMES,
    PRICE,
    QUANTITY,
    SHARE,
    TAX_CATEGORY,
    VALID,
    Schema,
    by_code,
    fields,
    flag,
    list_of,
    one_of,
    text,
    whole,
    word,
    words,
)
from millicent.catalog.types import (
    ChargeKind,
    CounterScope,
    DayType,
    FairUse,
    Measure,
    OneTimeTrigger,
    Payment,
    Proration,
    TierModel,
)
from millicent.kit.rounding import RoundingMode

_LINES = list_of(text("A line of text."), "Lines as they are printed.")

OPERATOR = fields(
    {
        "code": CODE,
        "legal_name": word("The name on your bills."),
        "country": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166 country such as ES."},
        "currency": CURRENCY,
        "zone": word("Time zone by its IANA name, such as Europe/Madrid."),
        "tax_number": text("Your tax number."),
        "address": _LINES,
        "contact": _LINES,
        "payment": _LINES,
        "brand_color": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "description": 'A colour: "#0b5cad".'},
        "logo": word("An SVG or PNG file in this folder."),
        "languages": words("Languages of your bills: [en, es, fr]."),
        "bill_series": word("Series letter of bill numbers."),
        "due_days": whole("Days until a bill is due.", most=365),
        "second_approval": flag("true: somebody other than the author must approve each release."),
        "suppliers": by_code(word("A tariff."), "What carriers charge us: supplier code to tariff."),
        "resellers": by_code(word("A tariff."), "What we charge resellers: reseller code to tariff."),
    },
    required=("code", "legal_name", "country", "currency", "zone"),
    description="Who sells: printed on bills, and the supplier side of every tax.",
)

SPECIFICATION = fields(
    {
        "names": NAMES,
        "measure": one_of(Measure, "What is counted of a usage."),
        "unit": word("second, byte, message, event, or your own word."),
        "subunit_rounding": one_of(RoundingMode, "How milliseconds become seconds."),
        "attributes": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": ["string", "integer"]}},
            "description": "Attributes its usage may carry, with allowed values; [] is any text.",
        },
        "tax_category": TAX_CATEGORY,
    },
    required=("measure", "unit"),
    description="One kind of service.",
)
SPECIFICATIONS = by_code(SPECIFICATION, "Kinds of service by code.")

_DAYS = [each.name.lower() for each in DayType] + ["weekdays", "weekend", "every_day"]
BAND = fields(
    {
        "code": CODE,
        "days": {
            "type": ["string", "array"],
            "items": {"enum": _DAYS},
            "description": "monday to sunday, holiday, weekdays (not holidays), weekend, every_day.",
        },
        "from": text('Local time of day: "08:00".'),
        "until": text('Local time of day, "24:00" at most. Before `from` it goes on after midnight of the same day.'),
    },
    required=("code", "days", "from", "until"),
)
CALENDAR = fields(
    {
        "code": CODE,
        "zone": word("Time zone by its IANA name, such as Europe/Madrid."),
        "holidays": fields(
            {
                "country": word("ISO 3166 country such as ES."),
                "subdivision": word("Subdivision as ISO 3166-2 without the country, such as MD."),
                "years": text('Years to cover: "2025-2030".', pattern="^[0-9]{4}(-[0-9]{4})?$"),
                "add": list_of(text("A date."), "Your own holidays."),
                "remove": list_of(text("A date."), "Dates that are not holidays for you."),
            }
        ),
        "bands": list_of(BAND, "Parts of the day on some days."),
    },
    required=("code", "zone"),
    description="Local days as a tariff sees them.",
)

ZONE = fields(
    {
        "code": CODE,
        "names": NAMES,
        "prefixes": words('E.164 digits, "+34" or "34"; short codes as "short:112".'),
        "countries": words("ISO 3166 countries, from the numbering plans."),
        "number_types": words("mobile, fixed_line, premium_rate, toll_free, shared_cost, voip, uan, pager."),
        "except": words("Prefixes that the countries would give and that you do not want."),
        "rest_of_world": flag("true: every calling code that no other zone of the map covers."),
    },
    required=("code",),
)
ZONES = fields(
    {"code": CODE, "zones": list_of(ZONE, "Zones of this map.", least=1)},
    required=("code", "zones"),
    description="A map: zones that belong together. No prefix stands in two of them.",
)

NETWORKS = by_code(
    fields({"names": NAMES, "networks": words("MCC+MNC digits, or MCC alone for a country.")}, required=("networks",)),
    "Sets of networks by code.",
)

DECK = fields(
    {
        "code": CODE,
        "currency": CURRENCY,
        "file": word("The CSV file, beside this one."),
        "per": QUANTITY,
        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "description": "One character."},
        "decimal": {"enum": [".", ","], "description": "Decimal mark of the file."},
        "encoding": {"enum": ["utf-8", "latin-1", "cp1252"], "description": "Character encoding of the file."},
        "columns": {
            "type": "object",
            "properties": {
                name: word("Header of the column.")
                for name in ("prefix", "destination", "rate", "connect", "first", "next", "from", "until", "status")
            },
            "required": ["prefix", "rate"],
            "additionalProperties": False,
            "description": "Which header holds what: {prefix: Prefix, rate: Rate}.",
        },
        "increments": INCREMENTS,
        "blocked": words("Values of the status column that say: not served."),
        "date_format": word("How dates are written, as strptime has it: %d/%m/%Y. ISO 8601 when absent."),
        "zone": word("Time zone of the dates."),
        "refused_rows_allowed": whole("How many refused rows are only a warning. 0 when absent."),
    },
    required=("code", "file", "columns"),
    description="A rate deck: a CSV file and what its columns mean.",
)

STEP = fields(
    {"above": QUANTITY, "price": PRICE, "entry": MONEY},
    required=("above",),
    description="From `above` on, each unit costs `price`; reaching the step costs `entry`.",
)
LADDER = fields(
    {
        "model": one_of(TierModel, "How the steps are read."),
        "counter": CODE,
        "scope": one_of(CounterScope, "Who shares the counter."),
        "steps": list_of(STEP, "Rising steps, the first above 0.", least=1),
        "package": QUANTITY,
        "price": MONEY,
    },
    required=("model", "counter"),
    description="Prices that depend on what was used before in the cycle.",
)
SLOT = fields(
    {"from": QUANTITY, "every": QUANTITY, "price": PRICE},
    required=("price",),
    description="From this point of the usage on: whole increments of `every` at `price`.",
)
RULE = fields(
    {
        "code": CODE,
        "when": MATCH,
        "price": PRICE,
        "increments": INCREMENTS,
        "slots": list_of(SLOT, "Prices by elapsed quantity.", least=1),
        "ladder": LADDER,
        "percentage": SHARE,
        "connect": MONEY,
        "unanswered": MONEY,
        "minimum_quantity": QUANTITY,
        "minimum_charge": MONEY,
        "maximum_charge": MONEY,
        "maximum_limits": {"enum": ["charge", "quantity"], "description": "What the maximum does."},
        "discount": SHARE,
        "cost": PRICE,
        "priority": whole("Higher wins.", least=-1_000_000, most=1_000_000),
        "surcharge": flag("true: added to the base price."),
        "blocked": flag("true: matching usage is not served."),
        "valid": VALID,
    },
    required=("code",),
    description="One priced case.",
)
TARIFF = fields(
    {
        "code": CODE,
        "names": NAMES,
        "currency": CURRENCY,
        "calendar": word("A calendar."),
        "rules": list_of(RULE, "Priced cases."),
        "decks": words("Rate decks: one rule for each row."),
        "deck_service": word("The service that the decks price; voice when absent."),
        "band_by_start": flag("true: the whole usage is priced by the band at its start."),
        "rounding": one_of(RoundingMode, "How each charge is rounded."),
        "decimals": whole("Digits after the point of each charge.", most=9),
    },
    required=("code", "calendar"),
    description="A set of rules in one currency.",
)

ALLOWANCE = fields(
    {
        "code": CODE,
        "names": NAMES,
        "when": MATCH,
        "amount": text('A quantity such as "20 GB", or "unlimited".'),
        "money": MONEY,
        "scope": one_of(CounterScope, "Who shares it."),
        "member_cap": QUANTITY,
        "priority": whole("Higher is taken first.", least=-1_000_000, most=1_000_000),
        "whole_increments": flag("true: taken in whole increments of the price."),
        "factor": text('Units taken for each unit used: "1.5" or "3/2".'),
        "price": PRICE,
        "increments": INCREMENTS,
        "blocker": flag("true: when it is used up, matching usage stops."),
        "window": words("Bands of the calendar in which it may be used."),
        "validity": text('How long it lives: "30 days". The cycle when absent.'),
        "rollover": fields(
            {"cycles": whole("How often it moves on; 0 is for ever."), "cap": QUANTITY}, required=("cycles",)
        ),
        "prorate_first_cycle": flag("true: the first cycle gets its share."),
        "fair_use": fields(
            {"after": QUANTITY, "then": one_of(FairUse, "What happens then.")}, required=("after", "then")
        ),
        "once": flag("true: granted at activation only."),
    },
    required=("code",),
    description="Included units or money.",
)
SCOPE = fields(
    {
        "kinds": {**words("Kinds of charge."), "items": {"enum": [each.value for each in ChargeKind]}},
        "offerings": words("Offerings."),
        "services": words("Services."),
        "price_codes": words("Codes of prices or tariff rules."),
    },
    description="Which charges it looks at.",
)
RECURRING = fields(
    {
        "code": CODE,
        "names": NAMES,
        "price": MONEY,
        "currency": CURRENCY,
        "period": text('"month", "3 months", "28 days".'),
        "billed": {"enum": ["in_advance", "in_arrears"], "description": "in_advance or in_arrears."},
        "proration": one_of(Proration, "How a part of a period is priced."),
        "bill_termination_day": flag("Whether the last day is charged."),
        "charged_while_suspended": flag("Whether a suspended subscription pays it."),
        "per_quantity": flag("Whether it is multiplied by the subscription's quantity."),
        "tax_category": TAX_CATEGORY,
        "ledger": LEDGER,
    },
    required=("code", "price"),
)
ONE_TIME = fields(
    {
        "code": CODE,
        "names": NAMES,
        "price": MONEY,
        "currency": CURRENCY,
        "on": one_of(OneTimeTrigger, "What makes it due."),
        "within": text('For a termination: only within so many days of the start: "365 days".'),
        "tax_category": TAX_CATEGORY,
        "ledger": LEDGER,
    },
    required=("code", "price", "on"),
)
COMMITMENT = fields(
    {
        "code": CODE,
        "names": NAMES,
        "currency": CURRENCY,
        "minimum": MONEY,
        "maximum": MONEY,
        "scope": SCOPE,
        "tax_category": TAX_CATEGORY,
        "ledger": LEDGER,
    },
    required=("code",),
)
DISCOUNT_FIELDS = {
    "names": NAMES,
    "scope": SCOPE,
    "percent": SHARE,
    "amount": MONEY,
    "currency": CURRENCY,
    "cap": MONEY,
    "cycles": whole("For how many cycles; as long as it is held when absent.", least=1),
    "minimum_spend": MONEY,
    "priority": whole("Lower is taken first.", least=-1_000_000),
    "coupon": flag("true: given by a code."),
    "redemptions": whole("How often it may be redeemed.", least=1),
    "valid": VALID,
}
DISCOUNTS = by_code(fields(DISCOUNT_FIELDS), "Coupons and shared discounts by code.")
OFFERING = fields(
    {
        "code": CODE,
        "names": NAMES,
        "services": words("Codes of specifications.yaml."),
        "tariff": word("The tariff of its usage."),
        "recurring": list_of(RECURRING, "Charges of every period."),
        "one_time": list_of(ONE_TIME, "Charges once."),
        "allowances": list_of(ALLOWANCE, "What is included."),
        "commitments": list_of(COMMITMENT, "Minimum or maximum spend."),
        "discounts": words("Codes of discounts.yaml."),
        "children": words("Offerings of the bundle."),
        "eligibility": fields(
            {
                "segments": words("Customer segments."),
                "countries": words("Countries."),
                "requires": words("Offerings the customer must hold."),
                "excludes": words("Offerings the customer must not hold."),
            }
        ),
        "add_on": flag("true: held beside a plan."),
        "usage_tax_category": TAX_CATEGORY,
        "usage_ledger": LEDGER,
        "payment": one_of(Payment, "Where the money for usage comes from; postpaid when absent."),
    },
    required=("code",),
    description="Something a customer can have.",
)

TAXES = by_code(
    fields(
        {
            "names": NAMES,
            "jurisdiction": word('Country "ES", subdivision "US-CA", or finer "US-CA/06075".'),
            "except": words("Places within the jurisdiction where it is not levied: [ES-CN]."),
            "categories": words("Tax categories of charges."),
            "rate": SHARE,
            "fixed": MONEY,
            "currency": CURRENCY,
            "inclusive": flag("true: prices already hold it."),
            "round_each": {"enum": ["line", "bill"], "description": "Where it is rounded: line or bill."},
            "rounding": one_of(RoundingMode, "How it is rounded."),
            "on_top_of": words("Taxes whose amount joins the base."),
            "exemptions": words("Kinds of certificate that lift it."),
            "reverse_charge": flag("true: a business customer of another country accounts for it."),
            "valid": VALID,
        },
        required=("jurisdiction", "categories"),
    ),
    "Taxes by code.",
)

LEDGER_CODES = by_code(
    {
        "type": "string",
        "pattern": "^(asset|liability|revenue|expense|equity)(:[a-z0-9_-]+)+$",
        "description": 'A ledger account such as "revenue:usage".',
    },
    "Ledger code of a charge to ledger account.",
)

EXPECTATION = fields(
    {
        "expect": word("What a person would say: the claim."),
        "offering": word("The offering whose tariff and allowances apply."),
        "tariff": word("A tariff alone, without allowances."),
        "at": text('Local time of the tariff: "2026-11-16 21:30".'),
        "service": word("Code of the service."),
        "usage": QUANTITY,
        "to": text('Destination: "+34600111222" or "short:112".'),
        "from": text("Calling number."),
        "direction": word("originating when absent."),
        "call_type": text("onnet, offnet, ..."),
        "visited": text("MCC+MNC of the visited network."),
        "segment": word("Customer segment; consumer when absent."),
        "answered": flag("false: an attempt that was not answered."),
        "content": MONEY,
        "attributes": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        "used_before": {"type": "object", "additionalProperties": QUANTITY, "description": "Counter to units."},
        "costs": MONEY,
        "included": QUANTITY,
        "rule": word("Code of the rule that must price it."),
        "refused": word("The reason it must be refused with, such as BLOCKED."),
    },
    required=("expect", "at", "service", "usage"),
    description="One expected price. `check` prices it and compares.",
)
EXPECTATIONS = list_of(EXPECTATION, "Expected prices.")

DOCUMENTS: dict[str, Schema] = {
    "operator": OPERATOR,
    "specifications": SPECIFICATIONS,
    "calendar": CALENDAR,
    "zones": ZONES,
    "networks": NETWORKS,
    "deck": DECK,
    "tariff": TARIFF,
    "offering": OFFERING,
    "discounts": DISCOUNTS,
    "taxes": TAXES,
    "ledger": LEDGER_CODES,
    "expectations": EXPECTATIONS,
}


def catalogue_schema() -> Schema:
    """The whole as it is published: one definition for each kind of document, by name under `$defs`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Millicent catalogue documents",
        "description": "One definition for each kind of file in a catalogue folder; an editor uses #/$defs/<kind>.",
        "$defs": DOCUMENTS,
        "anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in DOCUMENTS],
    }


def published_schema() -> str:
    """The text of the published file, the same for the same code."""
    return json.dumps(catalogue_schema(), ensure_ascii=False, indent=1) + "\n"
