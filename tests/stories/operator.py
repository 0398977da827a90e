"""What a story can do: release bills month by month and read them as a customer would."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.billing.builders import a_moment

from millicent.billing.ports import BillingFacts
from millicent.billing.runs import RunReport
from millicent.billing.services.release_bill_run import release_bill_run
from millicent.kit.bulk import read_rows
from millicent.kit.tenancy import tenant_scope


@dataclass(kw_only=True)
class BillingOffice:
    """One operator. `facts` may change between bills: that is what stories are about."""

    tenant_id: UUID
    facts: BillingFacts

    def release(self, *, through: datetime, now: datetime | None = None, **options: Any) -> RunReport | None:
        return release_bill_run(
            tenant_id=self.tenant_id, facts=self.facts, through=through, now=now or through, **options
        )

    def release_month(self, month: int, *, year: int = 2026) -> RunReport | None:
        """Bill the cycle that ends on the first of this month, two hours after midnight."""
        return self.release(through=a_moment(year, month, 1), now=a_moment(year, month, 1, 2))

    def lines(self, *, sequence: int = 0, number: str | None = None) -> list[tuple[str, str, int]]:
        """(kind, text, amount in cents) of one bill: the latest, unless said."""
        bill_id = self._bill(number)["id"]
        rows = self._rows(
            "SELECT kind, texts->>'en', net_nanos FROM billing_line WHERE bill_id = %s ORDER BY line_number", [bill_id]
        )
        return [(kind, text, cents(nanos)) for kind, text, nanos in rows]

    def taxes(self) -> list[tuple[str, int, int, str]]:
        """(tax, base, amount, note) of the latest bill, in cents."""
        rows = self._rows(
            "SELECT tax, base_nanos, amount_nanos, note FROM billing_tax WHERE bill_id = %s ORDER BY place",
            [self._bill(None)["id"]],
        )
        return [(tax, cents(base), cents(amount), note) for tax, base, amount, note in rows]

    def totals(self) -> list[tuple[str, str, int, int, int]]:
        """(number, currency, net, tax, total) of every bill, in cents."""
        rows = self._rows(
            "SELECT number, currency, net_nanos, tax_nanos, total_nanos FROM billing_bill ORDER BY series, sequence", []
        )
        return [(number, currency, *map(cents, amounts)) for number, currency, *amounts in rows]  # type: ignore[misc]

    def everything(self) -> list[tuple[Any, ...]]:
        """All that was issued, for comparing two roads to the same end."""
        return [
            *self._rows("SELECT number, digest, total_nanos FROM billing_bill ORDER BY series, sequence", []),
            *self._rows("SELECT charge_digest, charge_revision, net_nanos FROM billing_line ORDER BY 1, 2", []),
            *self._rows("SELECT reference, facts::text FROM ledger_entry ORDER BY sequence", []),
            *self._rows(
                "SELECT entry_sequence, place, ledger_account, amount_nanos FROM ledger_posting ORDER BY 1, 2", []
            ),
        ]

    def balance(self, ledger_account: str) -> int:
        """Debits less credits of a ledger account, in cents."""
        ((nanos,),) = self._rows(
            "SELECT coalesce(sum(amount_nanos), 0)::bigint FROM ledger_posting WHERE ledger_account = %s",
            [ledger_account],
        )
        return cents(nanos)

    def _bill(self, number: str | None) -> dict[str, Any]:
        ((bill_id, found),) = self._rows(
            "SELECT id, number FROM billing_bill WHERE (%s::text IS NULL OR number = %s) "
            "ORDER BY series DESC, sequence DESC LIMIT 1",
            [number, number],
        )
        return {"id": bill_id, "number": found}

    def _rows(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with tenant_scope(self.tenant_id):
            return read_rows(query, values)


def cents(nanos: int) -> int:
    whole, rest = divmod(nanos, 10_000_000)
    assert rest == 0, f"{nanos} nanos are not whole cents"
    return whole
