"""The customers of the demo operator: seeded, a few thousand, written as the files that `customers import` reads.

Nothing here touches a store. The same seed and size give the same files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

import polars as pl
from stdnum.fr import siren as french_firm

from millicent.config.demo.names import FAMILY, FORMS, GIVEN, STREETS, TRADES
from millicent.customers.rules import is_sound_tax_number

OPENED = "2026-09-01"
_PLACES = (  # country, jurisdiction, zone, language, share in a thousand
    ("ES", "ES", "Europe/Madrid", "es", 640),
    ("ES", "ES", "Europe/Madrid", "en", 110),
    ("ES", "ES-CN", "Atlantic/Canary", "es", 90),
    ("FR", "FR", "Europe/Paris", "fr", 100),
    ("PT", "PT", "Europe/Lisbon", "en", 60),
)
_CYCLE_DAYS = ((1, 780), (15, 140), (31, 80))
_PLAN_SHARES = (  # shares of all subscriptions, in a thousand
    ("family", 230),
    ("single", 330),
    ("home", 130),
    ("everything", 50),
    ("prepaid", 70),
    ("business", 110),
    ("trunk", 20),
    ("fleet", 50),
    ("carrier", 10),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    country: str
    jurisdiction: str
    zone: str
    language: str


@dataclass(slots=True, kw_only=True)
class Population:
    """Rows of the three import files, and who uses which service under which identifier."""

    seed: int
    chance: Random
    accounts: list[dict[str, str]] = field(default_factory=list)
    subscriptions: list[dict[str, str]] = field(default_factory=list)
    identifiers: list[dict[str, str]] = field(default_factory=list)
    users: list[dict[str, str]] = field(default_factory=list)
    by_plan: dict[str, list[str]] = field(default_factory=dict)  # offering -> subscription codes, in order

    def account_of(self, subscription: str) -> str:
        return next(row["account"] for row in self.subscriptions if row["subscription"] == subscription)


def make_population(*, seed: int, subscribers: int) -> Population:
    """About so many subscriptions: families, singles, homes, firms with branches, fleets, carriers."""
    made = Population(seed=seed, chance=Random(seed))  # noqa: S311 - a demo that can be repeated, no secret
    for kind, share in _PLAN_SHARES:
        wanted = len(made.subscriptions) + max(subscribers * share // 1_000, 6)
        while len(made.subscriptions) < wanted:
            _MAKERS[kind](made)
    return made


def write_import_files(made: Population, folder: Path) -> dict[str, Path]:
    """accounts.csv, subscriptions.csv and identifiers.csv as an operator would bring them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in ("accounts", "subscriptions", "identifiers"):
        paths[name] = folder / f"{name}.csv"
        pl.DataFrame(getattr(made, name)).write_csv(paths[name])
    return paths


def user_frame(made: Population) -> pl.DataFrame:
    """identifier_kind, identifier, service, imsi: what the writers of records need to know."""
    return pl.DataFrame(made.users)


# ---------------------------------------------------------------- who


def _drawn(made: Population, choices: tuple[tuple[int, int], ...]) -> int:
    return made.chance.choices([value for value, _ in choices], [share for _, share in choices])[0]


def _place(made: Population) -> Place:
    chosen = made.chance.choices(_PLACES, [share for *_, share in _PLACES])[0]
    return Place(country=chosen[0], jurisdiction=chosen[1], zone=chosen[2], language=chosen[3])


def _address(made: Population, place: Place) -> str:
    street, town = made.chance.choice(STREETS[place.jurisdiction])
    return f"{street} {made.chance.randint(1, 180)}|{town}"


def _person(made: Population) -> str:
    """Open a person's account; returns its code."""
    place = _place(made)
    given, family = made.chance.choice(GIVEN[place.country]), made.chance.choice(FAMILY[place.country])
    code = f"C{len(made.accounts) + 1:06d}"
    made.accounts.append(
        _account_row(code, name=f"{given} {family}", place=place, address=_address(made, place))
        | {"email": f"{code.lower()}@customer.example", "cycle_day": str(_drawn(made, _CYCLE_DAYS))}
    )
    return code


def _firm(made: Population, *, segment: str = "business", reseller: str = "", place: Place | None = None) -> str:
    place = place or _place(made)
    trade, family = made.chance.choice(TRADES[place.country]), made.chance.choice(FAMILY[place.country])
    code = f"B{len(made.accounts) + 1:06d}"
    made.accounts.append(
        _account_row(code, name=f"{trade} {family} {FORMS[place.country]}", place=place, address=_address(made, place))
        | {
            "kind": "organisation",
            "business": "yes",
            "segment": segment,
            "tax_number": _tax_number(made, country=place.country),
            "reseller": reseller,
        }
    )
    return code


def _tax_number(made: Population, *, country: str) -> str:
    """The next number above a drawn one whose check digits are right: nobody's in particular."""
    drawn = made.chance.randint(10**7, 10**8 - 10**4)
    if country == "FR":
        siren = next(number for number in count(drawn * 10) if french_firm.is_valid(str(number)))
        return f"FR{(12 + 3 * (siren % 97)) % 97:02d}{siren}"
    start = {"ES": "B", "PT": "5"}.get(country)
    if start is None:
        return ""
    return next(text for number in count(drawn) if is_sound_tax_number(text := f"{start}{number}", country=country))


def _account_row(code: str, *, name: str, place: Place, address: str) -> dict[str, str]:
    return {
        "account": code,
        "party": code,
        "name": name,
        "kind": "person",
        "email": "",
        "currency": "EUR",
        "zone": place.zone,
        "opened": OPENED,
        "parent": "",
        "payer": "",
        "cycle_day": "1",
        "language": place.language,
        "segment": "consumer",
        "country": place.country,
        "jurisdiction": place.jurisdiction,
        "business": "no",
        "tax_number": "",
        "reseller": "",
        "address": address,
        "exemption_kind": "",
        "exemption_jurisdiction": "",
        "exemption_certificate": "",
        "exemption_from": "",
    }


# ---------------------------------------------------------------- what they have


def _subscribe(
    made: Population,
    account: str,
    offering: str,
    *,
    pool: str = "",
    quantity: int = 1,
    coupons: str = "",
    add_ons: str = "",
) -> str:
    code = f"S{len(made.subscriptions) + 1:06d}"
    made.subscriptions.append(
        {
            "subscription": code,
            "account": account,
            "offering": offering,
            "from": OPENED,
            "quantity": str(quantity),
            "pool": pool,
            "add_ons": add_ons,
            "coupons": coupons,
        }
    )
    made.by_plan.setdefault(offering, []).append(code)
    return code


def _hold(made: Population, subscription: str, kind: str, identifier: str, *, services: str, imsi: str = "") -> None:
    made.identifiers.append({"subscription": subscription, "kind": kind, "identifier": identifier})
    made.users += [
        {"identifier_kind": kind, "identifier": identifier, "service": service, "imsi": imsi}
        for service in services.split()
    ]


def _sim(made: Population, subscription: str) -> None:
    """A number and its SIM; of half of them the voice goes over IP, under a SIP user of its own."""
    place = len(made.identifiers)
    imsi = f"21409{place:010d}"
    made.identifiers.append({"subscription": subscription, "kind": "imsi", "identifier": imsi})
    over_ip = made.chance.randint(0, 1) == 0
    services = "data sms" if over_ip else "voice data sms"
    _hold(made, subscription, "msisdn", f"346{10_000_000 + place * 7:08d}", services=services, imsi=imsi)
    if over_ip:
        _hold(made, subscription, "sip_user", f"ims{_serial(made)}", services="voice")


def _serial(made: Population) -> str:
    return f"{len(made.identifiers):06d}"


def _family(made: Population) -> None:
    account = _person(made)
    for _ in range(made.chance.randint(3, 5)):
        _sim(made, _subscribe(made, account, "family", pool=f"family-{account}"))


def _single(made: Population) -> None:
    offering = made.chance.choice(("mobile-s", "mobile-s", "mobile-m"))
    coupons = made.chance.choices(("", "welcome", "friend-brings-friend"), (80, 12, 8))[0]
    add_ons = made.chance.choices(("", "europe-calls", "social-pass"), (85, 9, 6))[0]
    _sim(made, _subscribe(made, _person(made), offering, coupons=coupons, add_ons=add_ons))


def _home(made: Population) -> None:
    account = _person(made)
    _hold(made, _subscribe(made, account, "fibre-600"), "radius_user", f"u{_serial(made)}@aurora", services="broadband")
    if made.chance.randint(0, 9) < 5:
        _hold(made, _subscribe(made, account, "tv-plus"), "device", f"STB-{_serial(made)}", services="iptv")
    if made.chance.randint(0, 9) < 6:
        _hold(made, _subscribe(made, account, "fixed-line"), "sip_user", f"home{_serial(made)}", services="voice")


def _everything(made: Population) -> None:
    subscription = _subscribe(made, _person(made), "everything")
    _sim(made, subscription)
    _hold(made, subscription, "radius_user", f"u{_serial(made)}@aurora", services="broadband")
    _hold(made, subscription, "device", f"STB-{_serial(made)}", services="iptv content")


def _prepaid(made: Population) -> None:
    _sim(made, _subscribe(made, _person(made), "pay-as-you-go", add_ons=made.chance.choice(("", "data-pack"))))


def _business(made: Population) -> None:
    """A firm and its branches; the head office pays for most of them."""
    reseller = made.chance.choices(("", "nordavia", "costafon"), (70, 20, 10))[0]
    head = _firm(made, reseller=reseller)
    desks = [head]
    row = made.accounts[-1]
    for number in range(made.chance.randint(1, 4)):
        branch = f"{head}-{number + 1}"
        payer = "" if made.chance.randint(0, 4) == 0 else head
        made.accounts.append(row | {"account": branch, "parent": head, "payer": payer})
        desks.append(branch)
        if made.chance.randint(0, 2) == 0:  # a third level
            made.accounts.append(row | {"account": f"{branch}-1", "parent": branch, "payer": head})
            desks.append(f"{branch}-1")
    for desk in desks:
        for _ in range(made.chance.randint(1, 3)):
            _sim(made, _subscribe(made, desk, "business-flex"))


def _trunk(made: Population) -> None:
    subscription = _subscribe(made, _firm(made), "business-trunk", quantity=made.chance.choice((2, 5, 10, 30)))
    for _ in range(3):
        _hold(made, subscription, "sip_user", f"trunk{_serial(made)}", services="voice")


def _fleet(made: Population) -> None:
    account = _firm(made)
    for _ in range(made.chance.randint(10, 25)):
        _hold(made, _subscribe(made, account, "iot-fleet"), "device", f"METER-{_serial(made)}", services="iot")


def _carrier(made: Population) -> None:
    """A carrier in euros; every third one is American and pays in dollars, with a resale certificate."""
    carriers = len(made.by_plan.get("carrier", [])) + len(made.by_plan.get("carrier-usa", []))
    account = _firm(
        made, segment="wholesale", place=Place(country="ES", jurisdiction="ES", zone="Europe/Madrid", language="en")
    )
    offering = "carrier"
    if carriers % 3 == 2:
        offering = "carrier-usa"
        made.accounts[-1] |= _american(made, exempt=carriers % 2 == 0)
    subscription = _subscribe(made, account, offering)
    for _ in range(2):
        _hold(made, subscription, "sip_user", f"carrier{_serial(made)}", services="voice")


def _american(made: Population, *, exempt: bool) -> dict[str, str]:
    street, town = STREETS["US-CA"][0]
    certificate = {
        "exemption_kind": "reseller",
        "exemption_jurisdiction": "US",
        "exemption_certificate": f"FCC-{made.chance.randint(10**5, 10**6 - 1)}",
        "exemption_from": OPENED,
    }
    return {
        "name": f"Alder {made.chance.choice(('Voice', 'Carrier', 'Tel'))} Inc.",
        "currency": "USD",
        "zone": "America/Los_Angeles",
        "country": "US",
        "jurisdiction": "US-CA",
        "tax_number": "",
        "address": f"{made.chance.randint(1, 900)} {street}|{town}",
    } | (certificate if exempt else {})


_MAKERS: dict[str, Callable[[Population], None]] = {
    "family": _family,
    "single": _single,
    "home": _home,
    "everything": _everything,
    "prepaid": _prepaid,
    "business": _business,
    "trunk": _trunk,
    "fleet": _fleet,
    "carrier": _carrier,
}
