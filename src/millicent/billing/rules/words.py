"""The few words that billing adds to the catalogue's own texts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from millicent.catalog.types import LocalizedText

CORRECTION: LocalizedText = {
    "en": "Correction: {text}",
    "es": "Corrección: {text}",
    "fr": "Correction : {text}",
}
CREDIT: LocalizedText = {"en": "Credit: {text}", "es": "Abono: {text}", "fr": "Avoir : {text}"}
_CASES: dict[str, LocalizedText] = {  # what operators commonly call their bands; any other code is said as it is
    "peak": {"en": "peak", "es": "hora punta", "fr": "heures pleines"},
    "off peak": {"en": "off-peak", "es": "hora valle", "fr": "heures creuses"},
    "day": {"en": "day", "es": "día", "fr": "jour"},
    "evening": {"en": "evening", "es": "tarde", "fr": "soir"},
    "night": {"en": "night", "es": "noche", "fr": "nuit"},
    "weekend": {"en": "weekend", "es": "fin de semana", "fr": "week-end"},
    "rest": {"en": "other hours", "es": "otras horas", "fr": "autres heures"},
}
_LANGUAGES = ("en", "es", "fr")
USAGE_WITH_ZONE = "{service}, {zone}"


def prefixed(words: LocalizedText, texts: LocalizedText) -> dict[str, str]:
    """Put a word before a text, in the text's languages; a text that begins with it already stays as it is."""
    return _prefixed(tuple(sorted(words.items())), tuple(sorted(texts.items())))


@lru_cache(maxsize=4096)
def _prefixed(words: tuple[tuple[str, str], ...], texts: tuple[tuple[str, str], ...]) -> dict[str, str]:
    spoken = dict(texts)
    plain = spoken.get("en", next(iter(spoken.values()), ""))
    templates = dict(words)
    texts_now = {}
    for language in sorted({*spoken, "en"}):
        template, text = templates.get(language, templates["en"]), spoken.get(language, plain)
        texts_now[language] = text if text.startswith(template.partition("{text}")[0]) else template.format(text=text)
    return texts_now


def case_words(codes: Sequence[str]) -> dict[str, str]:
    """Codes of bands or of rules as a customer may read them; nothing when there are none."""
    plain = [code.replace("_", " ").replace("-", " ") for code in codes]
    return {
        language: ", ".join(_CASES[each][language] if each in _CASES else each for each in plain)
        for language in (_LANGUAGES if codes else ())
    }


def with_case(texts: LocalizedText, case: LocalizedText) -> dict[str, str]:
    """A text with the case of its price in brackets, in the text's languages."""
    if not case:
        return dict(texts)
    plain = case.get("en", next(iter(case.values())))
    return {language: f"{text} ({case.get(language, plain)})" for language, text in texts.items()}


def together(service: Mapping[str, str], zone: Mapping[str, str]) -> dict[str, str]:
    """A service's name with its zone's, in every language either speaks."""
    if not zone:
        return dict(service)
    return {
        language: USAGE_WITH_ZONE.format(
            service=service.get(language, service.get("en", "")), zone=zone.get(language, zone.get("en", ""))
        )
        for language in sorted({*service, *zone})
    }
