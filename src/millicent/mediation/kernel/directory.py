"""Who held an identifier at an instant."""

from millicent.kit.kernels import Int32s, Int64s, UInt64s, kernel

NOT_HELD = -1


@kernel
def fill_slots(
    high: UInt64s,  # [m] hash of the identifier of each tenure, equal ones together
    slots: Int32s,  # [power of two] -1 where empty; written: the first tenure of one identifier
) -> None:
    """Place the first tenure of every identifier in an open-addressed table."""
    mask = slots.shape[0] - 1
    for tenure in range(high.shape[0]):
        if tenure > 0 and high[tenure] == high[tenure - 1]:
            continue
        slot = int(high[tenure]) & mask
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = tenure


@kernel
def find_holders(
    high: UInt64s,  # [n] of the usage's identifier
    low: UInt64s,  # [n]
    occurred_at_ms: Int64s,  # [n]
    slots: Int32s,
    tenure_high: UInt64s,  # [m]
    tenure_low: UInt64s,  # [m]
    from_ms: Int64s,  # [m]
    until_ms: Int64s,  # [m] half-open
    holder: Int64s,  # [n] written: a tenure, or NOT_HELD
) -> None:
    """Find the tenure that covers the instant: a number that was given to another person bills the right one."""
    mask = slots.shape[0] - 1
    count = tenure_high.shape[0]
    for row in range(high.shape[0]):
        holder[row] = NOT_HELD
        slot = int(high[row]) & mask
        while slots[slot] >= 0:
            tenure = slots[slot]
            if tenure_high[tenure] == high[row]:
                while tenure < count and tenure_high[tenure] == high[row]:
                    inside = from_ms[tenure] <= occurred_at_ms[row] < until_ms[tenure]
                    if inside and tenure_low[tenure] == low[row]:
                        holder[row] = tenure
                        break
                    tenure += 1
                break
            slot = (slot + 1) & mask
