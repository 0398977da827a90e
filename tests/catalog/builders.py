"""A small sound catalogue as texts by path; a test changes what matters to it."""

from collections.abc import Mapping

from millicent.catalog.errors import Fault
from millicent.catalog.loading import Examination, examine_files
from millicent.catalog.types import Catalogue

OPERATOR = """\
code: acme
legal_name: Acme Telecom
country: ES
currency: EUR
zone: Europe/Madrid
"""
SPECIFICATIONS = """\
voice: {measure: duration, unit: second, attributes: {friend: ["yes"]}}
data: {measure: total_volume, unit: byte}
sms: {measure: events, unit: message}
"""
CALENDAR = """\
code: week
zone: Europe/Madrid
bands:
  - {code: day, days: every_day, from: 08:00, until: 20:00}
  - {code: rest, days: every_day, from: 20:00, until: 08:00}
"""
ZONES = """\
code: world
zones:
  - {code: home, prefixes: "+34"}
  - {code: away, prefixes: ["+33", "+351"]}
"""
TARIFF = """\
code: basic
calendar: week
rules:
  - {code: home, when: {service: voice, zone: world/home}, price: 0.10/min}
  - {code: away, when: {service: voice, zone: world/away}, price: 0.30/min}
  - {code: sms, when: {service: sms}, price: 0.05}
"""
OFFERING = """\
code: plan
services: [voice, sms]
tariff: basic
recurring:
  - {code: monthly, price: 10.00}
"""
TAXES = """\
vat: {jurisdiction: ES, categories: standard, rate: 21%}
"""
LEDGER = """\
usage: revenue:usage
recurring: revenue:recurring
"""
DECK = """\
code: deck
file: deck.csv
columns: {prefix: prefix, destination: name, rate: rate, from: from, until: until}
"""

SOUND: Mapping[str, str] = {
    "operator.yaml": OPERATOR,
    "specifications.yaml": SPECIFICATIONS,
    "calendars/week.yaml": CALENDAR,
    "zones/world.yaml": ZONES,
    "tariffs/basic.yaml": TARIFF,
    "offerings/plan.yaml": OFFERING,
    "taxes.yaml": TAXES,
    "ledger.yaml": LEDGER,
}


def some_files(changes: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The sound catalogue with some files replaced or added."""
    return {path: text.encode() for path, text in {**SOUND, **(changes or {})}.items()}


def examined(changes: Mapping[str, str] | None = None) -> Examination:
    return examine_files(some_files(changes))


def a_catalogue(changes: Mapping[str, str] | None = None) -> Catalogue:
    examination = examined(changes)
    assert examination.catalogue is not None, examination.faults
    return examination.catalogue


def faults_of(changes: Mapping[str, str]) -> list[Fault]:
    return list(examined(changes).faults)


def with_rules(*rules: str) -> dict[str, str]:
    """The basic tariff with these rules only, each a YAML mapping on one line; the first rule is on line 4."""
    return {"tariffs/basic.yaml": "code: basic\ncalendar: week\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)}


def with_deck(*rows: str, described: str = DECK) -> dict[str, str]:
    """The basic tariff on a deck with these rows."""
    return {
        "tariffs/basic.yaml": "code: basic\ncalendar: week\nrules: []\ndecks: deck\n",
        "decks/deck.yaml": described,
        "decks/deck.csv": "prefix,name,rate,from,until\n" + "".join(f"{row}\n" for row in rows),
    }
