"""What earlier bills left is looked up, however much of it there is."""

from collections.abc import Callable
from typing import Any

import pytest

from millicent.billing import history
from millicent.kit.bulk import read_rows


@pytest.mark.parametrize(
    ("read", "looked_up_by"),
    [
        (lambda: history.issued_charges({7: 0}), "billing_account_id ="),
        (lambda: history.billed_spans([7]), "payer_id ="),
        (lambda: history.carried_buckets([(7, 0)]), "payer_id ="),
        (lambda: history.unpriced_before([7]), "payer_id ="),
    ],
)
@pytest.mark.usefixtures("tenant")
def test_history_is_looked_up_payer_by_payer_and_never_read_through(
    read: Callable[[], object], looked_up_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL believes that a new tenant has no rows; a plan free to choose reads all of them for each payer."""
    plans: list[str] = []

    def explain(query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        read_rows("SELECT set_config('enable_seqscan', 'off', true)")
        plans.append("\n".join(line for (line,) in read_rows(f"EXPLAIN {query}", parameters)))
        return []

    monkeypatch.setattr(history, "read_rows", explain)
    read()

    (plan,) = plans
    conditions = [line for line in plan.splitlines() if "Index Cond" in line]
    assert conditions
    assert all(looked_up_by in line for line in conditions)
    assert "Seq Scan" not in plan
