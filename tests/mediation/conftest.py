"""Subscribers that enrichment finds, and stores of its own for each test.

What needs tables is imported late: pytest reads this file before the stores are open.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from millicent.mediation.stores import MediationStores


@pytest.fixture
def stores(tmp_path: Path) -> "MediationStores":
    from tests.mediation.builders import stores_in

    return stores_in(tmp_path)


@pytest.fixture(autouse=True)
def subscribers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice holds subscription 1 of account 17, Bob subscription 2 of account 34."""
    from tests.mediation.builders import ALICE, BOB, FOREVER_MS, identifiers

    from millicent.mediation import road

    frame = identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17), ("sip_user", BOB, 0, FOREVER_MS, 2, 34))
    monkeypatch.setattr(road, "identifier_frame", lambda: frame)
