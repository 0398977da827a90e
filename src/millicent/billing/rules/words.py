"""The few words that billing adds to the catalogue's own texts."""

from collections.abc import Mapping
from functools import lru_cache

from millicent.catalog.types import LocalizedText

CORRECTION: LocalizedText = {
    "en": "Correction: {text}",
    "es": "Corrección: {text}",
    "fr": "Correction : {text}",
}
CREDIT: LocalizedText = {"en": "Credit: {text}", "es": "Abono: {text}", "fr": "Avoir : {text}"}
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
