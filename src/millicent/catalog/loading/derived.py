"""What a catalogue takes from libraries: public holidays and numbering plans. A release freezes it.

A later version of the library may know another holiday or another prefix. A release must not change with it, so what
was taken is written down beside the files of the release, and reading the release takes it from there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Derived:
    """Answers of libraries by question, as sorted texts. `frozen` answers come first; new ones are kept."""

    frozen: Mapping[str, list[str]] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)

    def ask(self, question: str, compute: Callable[[], list[str]]) -> list[str]:
        if question not in self.answers:
            known = self.frozen.get(question)
            self.answers[question] = list(known) if known is not None else sorted(compute())
        return self.answers[question]

    def to_bytes(self) -> bytes:
        """Canonical: the same answers give the same bytes."""
        return json.dumps(self.answers, sort_keys=True, separators=(",", ":")).encode()


def derived_from(content: bytes | None) -> Derived:
    return Derived(frozen=json.loads(content) if content else {})
