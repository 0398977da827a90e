"""The columns of a file of billing accounts, each with how it is read and how a fault in it is mended."""

import re
from functools import partial

import polars as pl
from babel.numbers import list_currencies
from pycountry import countries

from millicent.catalog.types import PeriodUnit
from millicent.customers.types import PartyKind
from millicent.kit.clock import zone_named
from millicent.kit.errors import BadInput
from millicent.kit.intake import Column, parse_flag, parse_whole

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_PLACE = re.compile(r"[A-Z]{2}([-/].+)?")
_EVERY = re.compile(r"([0-9]{1,4}) (day|week|month|quarter|year)s?")
DATE_CURE = "Write a date such as 2026-10-01, or an instant with its offset such as 2026-10-01T08:00:00+02:00."

LANGUAGE_CURE = "Write a language code such as es."
COUNTRY_CURE = "Use an ISO 3166 code such as ES."
JURISDICTION_CURE = "Write a country's code, and what lies in it, such as ES, ES-CN or US-CA/06075."
TAX_NUMBER_CURE = "Write it as it is printed; its check digits have to be those of the account's country."


def as_written(text: str) -> str:
    return text


def _currency(text: str) -> str | None:
    return text if text in _CURRENCIES else None


def _zone(text: str) -> str | None:
    try:
        zone_named(text)
    except BadInput:
        return None
    return text


def language_written(text: str) -> str | None:
    return text if _LANGUAGE.fullmatch(text) else None


def country_written(text: str) -> str | None:
    return text if countries.get(alpha_2=text) else None


def jurisdiction_written(text: str) -> str | None:
    """ "" is the country itself. No tax is on a place that lies nowhere, so such a one is a slip of the pen."""
    return text if not text or (_PLACE.fullmatch(text) and country_written(text[:2])) else None


def _every(text: str) -> str | None:
    """ "3 weeks" is kept as "3 week"; `cycle_parts` reads it."""
    found = _EVERY.fullmatch(text)
    return f"{int(found[1])} {found[2]}" if found and int(found[1]) else None


def cycle_parts(every: str) -> tuple[int, str]:
    count, _, unit = every.partition(" ")
    return int(count), PeriodUnit(unit).value


def _kind(text: str) -> str | None:
    return text if text in [kind.value for kind in PartyKind] else None


def _address(text: str) -> str:
    return "\n".join(line.strip() for line in text.split("|"))


_CURRENCIES = list_currencies()

ACCOUNT_COLUMNS = (
    Column(name="account", parse=as_written, required=True, cure="Give every billing account a code of its own."),
    Column(name="name", parse=as_written, required=True, cure="Write the name as it is printed on the bill."),
    Column(name="currency", parse=_currency, required=True, cure="Use an ISO 4217 code such as EUR."),
    Column(name="zone", parse=_zone, required=True, cure="Use an IANA name such as Europe/Madrid."),
    Column(name="opened", parse=as_written, required=True, cure=DATE_CURE),
    Column(name="party", parse=as_written, cure="A code; accounts of one customer repeat it. Empty: the account's."),
    Column(name="kind", parse=_kind, default="person", cure="Write person or organisation."),
    Column(name="email", parse=as_written, cure="An address."),
    Column(name="phone", parse=as_written, cure="A number."),
    Column(name="parent", parse=as_written, cure="The code of the account above, or nothing."),
    Column(name="payer", parse=as_written, cure="The code of an account above that pays for itself, or nothing."),
    Column(
        name="cycle_day",
        parse=partial(parse_whole, smallest=1, largest=31),
        into=pl.Int64,
        default=1,
        cure="Write a day from 1 to 31; the month's end clamps it.",
    ),
    Column(name="cycle_every", parse=_every, default="1 month", cure="Write a length such as 1 month or 2 weeks."),
    Column(name="cycle_anchor", parse=as_written, cure=DATE_CURE),
    Column(name="language", parse=language_written, default="en", cure=LANGUAGE_CURE),
    Column(name="segment", parse=as_written, default="consumer", cure="A segment of the catalogue."),
    Column(name="country", parse=country_written, cure=COUNTRY_CURE),
    Column(name="jurisdiction", parse=jurisdiction_written, cure=JURISDICTION_CURE),
    Column(name="business", parse=parse_flag, into=pl.Boolean, default=False, cure="Write yes or no."),
    Column(name="tax_number", parse=as_written, cure=TAX_NUMBER_CURE),
    Column(name="reseller", parse=as_written, cure="A reseller's code, or nothing."),
    Column(name="address", parse=_address, cure="Lines separated by |."),
    Column(name="exemption_kind", parse=as_written, cure="Such as reseller or government, or nothing."),
    Column(name="exemption_jurisdiction", parse=as_written, cure="The jurisdiction whose tax is lifted."),
    Column(name="exemption_certificate", parse=as_written, cure="The number on the paper."),
    Column(name="exemption_from", parse=as_written, cure=DATE_CURE),
    Column(name="exemption_until", parse=as_written, cure=DATE_CURE),
)
