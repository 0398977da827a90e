"""What people are told, in their language. Amounts and quantities are written as that language writes them."""

from collections.abc import Mapping

from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal

from millicent.charging.people import PeopleNotice
from millicent.charging.types import NoticeKind
from millicent.kit.clock import from_ms, zone_named
from millicent.kit.money import to_decimal

LANGUAGES = ("en", "es", "fr")
_TEXTS: Mapping[tuple[NoticeKind, str], Mapping[str, str]] = {
    (NoticeKind.LOW_BALANCE, "money"): {
        "en": "Your balance is low: {amount} left.",
        "es": "Le queda poco saldo: {amount}.",
        "fr": "Votre solde est bas : il reste {amount}.",
    },
    (NoticeKind.PART_USED, "units"): {
        "en": "You have used {percent} % of {name}.",
        "es": "Ha consumido el {percent} % de {name}.",
        "fr": "Vous avez utilisé {percent} % de {name}.",
    },
    (NoticeKind.ALL_USED, "units"): {
        "en": "You have used all of {name}.",
        "es": "Ha consumido todo de {name}.",
        "fr": "Vous avez tout utilisé de {name}.",
    },
    (NoticeKind.PART_USED, "money"): {
        "en": "You have reached {percent} % of your spending limit of this cycle.",
        "es": "Ha alcanzado el {percent} % de su límite de gasto de este ciclo.",
        "fr": "Vous avez atteint {percent} % de votre plafond de dépenses de ce cycle.",
    },
    (NoticeKind.ALL_USED, "money"): {
        "en": "You have reached your spending limit of this cycle.",
        "es": "Ha alcanzado su límite de gasto de este ciclo.",
        "fr": "Vous avez atteint votre plafond de dépenses de ce cycle.",
    },
    (NoticeKind.EXPIRY_NEAR, "money"): {
        "en": "{amount} of your balance expires on {date}. A top-up keeps it.",
        "es": "{amount} de su saldo caduca el {date}. Una recarga lo conserva.",
        "fr": "{amount} de votre solde expire le {date}. Une recharge le conserve.",
    },
    (NoticeKind.EXPIRY_NEAR, "units"): {
        "en": "What is left of {name} ends on {date}.",
        "es": "Lo que queda de {name} caduca el {date}.",
        "fr": "Ce qui reste de {name} expire le {date}.",
    },
    (NoticeKind.EXPIRED, "money"): {
        "en": "{amount} of your balance has expired. A top-up within {days} days brings it back.",
        "es": "{amount} de su saldo ha caducado. Una recarga en {days} días lo recupera.",
        "fr": "{amount} de votre solde ont expiré. Une recharge sous {days} jours les rétablit.",
    },
}
_PEOPLE: Mapping[PeopleNotice, Mapping[str, str]] = {
    PeopleNotice.FEE_UNPAID: {
        "en": "Your plan could not be renewed: {amount} are missing. Top up and it goes on.",
        "es": "Su tarifa no se ha podido renovar: faltan {amount}. Recargue y seguirá activa.",
        "fr": "Votre forfait n'a pas pu être renouvelé : il manque {amount}. Rechargez et il reprend.",
    },
}
_ALLOWANCE = {"en": "your allowance", "es": "su bono", "fr": "votre forfait"}


def language_of(wanted: str) -> str:
    """The language that texts are there in; English where there are none."""
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def is_told(kind: int) -> bool:
    """Whether customers hear of such a notice as it stands; the others are for doors, operators and other readers."""
    return kind in (NoticeKind.LOW_BALANCE, NoticeKind.PART_USED, NoticeKind.ALL_USED, NoticeKind.EXPIRY_NEAR)


def text_of(kind: NoticeKind, *, about: str, language: str, said: Mapping[str, str]) -> str:
    """One notification; `about` is "money" or "units"."""
    return _TEXTS[kind, about][language].format_map({"name": _ALLOWANCE[language], **said})


def people_text(kind: PeopleNotice, *, language: str, amount: str) -> str:
    """What no command of the shard says."""
    return _PEOPLE[kind][language].format(amount=amount)


def money_text(nanos: int, currency: str, *, language: str) -> str:
    return str(format_currency(to_decimal(nanos, currency), currency, locale=language))


def date_text(instant_ms: int, *, zone: str, language: str) -> str:
    moment = from_ms(instant_ms).astimezone(zone_named(zone))
    return str(format_datetime(moment, "d MMMM y", locale=language))


def whole_text(number: int, *, language: str) -> str:
    return str(format_decimal(number, locale=language))
