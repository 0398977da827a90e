"""Who held what when: the holding of a subscription at an instant."""

from millicent.kit.kernels import Int64s, kernel
from millicent.rating.kernel.arrays import NOTHING


@kernel
def find_holdings(
    subscription_id: Int64s,  # [n]
    instant_ms: Int64s,  # [n]
    holding_subscription: Int64s,  # [h] sorted, then by from
    holding_from_ms: Int64s,  # [h]
    holding_until_ms: Int64s,  # [h]
    holding: Int64s,  # [n] written: place in the sorted holdings, or NOTHING
) -> None:
    """The last holding that began at or before the instant, unless it had ended."""
    count = holding_subscription.shape[0]
    for row in range(subscription_id.shape[0]):
        wanted = subscription_id[row]
        instant = instant_ms[row]
        low = 0
        high = count
        while low < high:  # the first holding after (wanted, instant)
            middle = (low + high) >> 1
            theirs = holding_subscription[middle]
            if theirs < wanted or (theirs == wanted and holding_from_ms[middle] <= instant):
                low = middle + 1
            else:
                high = middle
        found = low - 1
        inside = found >= 0 and holding_subscription[found] == wanted and instant < holding_until_ms[found]
        holding[row] = found if inside else NOTHING
