"""Texts by number: each kind counts for itself, the same text has the same number for ever."""

from collections.abc import Iterable, Sequence

from millicent.charging.types import NameKind

# causes of movements that no command names; their numbers stand in kernel/owner.py
OWN_CAUSES = ("expired", "granted", "limit", "top-up", "adjusted", "transfer")


class Names:
    """Numbers given so far, and those that no batch has carried into the journal yet."""

    def __init__(self) -> None:
        self._number: dict[str, dict[str, int]] = {kind.value: {} for kind in NameKind}
        self._text: dict[str, list[str]] = {kind.value: [] for kind in NameKind}
        self._new: list[tuple[str, int, str]] = []

    def number_of(self, kind: NameKind | str, text: str) -> int:
        """The number of a text, given now when it is new."""
        if kind == NameKind.CAUSE and not self._text[NameKind.CAUSE]:
            for cause in OWN_CAUSES:
                self._give(NameKind.CAUSE.value, cause)
        known = self._number[str(kind)].get(text)
        return self._give(str(kind), text) if known is None else known

    def _give(self, kind: str, text: str) -> int:
        number = self._number[kind][text] = len(self._text[kind])
        self._text[kind].append(text)
        self._new.append((kind, number, text))
        return number

    def text_of(self, kind: NameKind | str, number: int) -> str:
        """The text of a number; "" for one that was never given."""
        texts = self._text[str(kind)]
        return texts[number] if 0 <= number < len(texts) else ""

    def texts(self, kind: NameKind | str) -> Sequence[str]:
        return self._text[str(kind)]

    def count(self, kind: NameKind | str) -> int:
        return len(self._text[str(kind)])

    def take_new(self) -> list[tuple[str, int, str]]:
        """Those given since the last call: the batch at hand carries them."""
        new, self._new = self._new, []
        return new

    def give_again(self, names: Iterable[tuple[str, int, str]]) -> None:
        """No batch carried these after all: the next one will."""
        self._new[:0] = names

    def restore(self, names: Iterable[tuple[str, int, str]]) -> None:
        """Know names as the journal has them."""
        for kind, number, text in names:
            texts = self._text[kind]
            if number == len(texts):
                texts.append(text)
            assert texts[number] == text, "a number means one text for ever"
            self._number[kind][text] = number

    def everything(self) -> list[tuple[str, int, str]]:
        """Every name: what a snapshot keeps."""
        return [(kind, number, text) for kind, texts in self._text.items() for number, text in enumerate(texts)]
