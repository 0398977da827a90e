"""Pure decisions of charging: no framework, no input or output."""

from millicent.charging.types import Rows, Verb, commands
from millicent.charging.types_map import QuotaPolicy

POLICY_SIZES = ("slice_units", "most_units", "least_units", "share")  # of `asked`, in this order
POLICY_TIMES = ("validity_seconds", "grace_seconds", "holding_seconds", "threshold_percent", "final")  # of `used`


def policy_command(policy: QuotaPolicy, *, service: int, at_ms: int) -> Rows:
    """One POLICY: how slices of a service (its number as NameKind.SERVICE) are sized from now on."""
    row = commands(1)
    row["verb"] = Verb.POLICY
    row["received_ms"] = at_ms
    row["name"] = service
    row["asked"][0, : len(POLICY_SIZES)] = [getattr(policy, name) for name in POLICY_SIZES]
    row["used"][0, : len(POLICY_TIMES)] = [int(getattr(policy, name)) for name in POLICY_TIMES]
    return row
