"""Steps of one usage, written by the same loops that price it. Without a trace the writing is compiled away."""

from millicent.kit.kernels import Int64s, inlined

TRACE_COLUMNS = 9  # kind, then up to eight numbers; row 0 holds the count of steps
STEP_PART = 1  # part (0 base, 1.. surcharges), quantity
STEP_CASE = 2  # case, from offset, until offset
STEP_SPAN = 3  # slot or NOTHING for a ladder, from offset, end, billed, served, rest, nanos, parts
STEP_BUCKET = 4  # bucket, units served so far, remaining at the start of the usage
STEP_LADDER = 5  # counter, total before, total after
STEP_CONNECT = 6  # card, nanos, parts
STEP_SHARE = 7  # card, content nanos, nanos, parts
STEP_MINIMUM = 8  # nanos before, parts before, minimum nanos
STEP_MAXIMUM = 9  # nanos before, parts before, maximum nanos
STEP_LIMIT = 10  # units served, units not served
STEP_UNANSWERED = 11  # nanos
STEP_DRAW = 12  # bucket, units, taken, remaining before, remaining after, nanos, parts
STEP_ROUND = 13  # nanos before, parts before, denominator, step, mode, nanos after
STEP_MONEY = 14  # bucket, remaining before, remaining after, nanos left to charge
STEP_MINIMUM_UNITS = 15  # quantity before, quantity after
STEP_REASON = 16  # reason


@inlined
def record(trace: Int64s, kind: int, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int) -> None:
    """Write one step; a trace that is full keeps its first steps and goes on counting."""
    place = trace[0, 0] + 1
    trace[0, 0] = place
    if place < trace.shape[0]:
        trace[place, 0] = kind
        trace[place, 1] = a
        trace[place, 2] = b
        trace[place, 3] = c
        trace[place, 4] = d
        trace[place, 5] = e
        trace[place, 6] = f
        trace[place, 7] = g
        trace[place, 8] = h
