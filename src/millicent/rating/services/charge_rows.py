"""From frames to charges: who held which tariff, which legs there are, which release and class each belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Bools, Int8s, Int32s, Int64s
from millicent.rating.compile.numbers import number_keys
from millicent.rating.kernel.arrays import NOTHING, Charges
from millicent.rating.kernel.holding import find_holdings
from millicent.rating.program import TariffProgram
from millicent.rating.services.legs import Legs, expand_legs
from millicent.rating.services.open_state import SCOPES, Owners, owners_of, scope_size
from millicent.rating.services.usage_columns import class_numbers, complete_usage, quantities
from millicent.rating.types import Leg, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of rating: the usage, who held it, and its legs."""

    usage: pl.DataFrame  # every column of USAGE_COLUMNS
    instant_ms: Int64s  # [usage]
    holding: Int64s  # [usage] row of `holdings`, or NOTHING
    holdings: pl.DataFrame  # sorted by subscription and time
    owners: Owners
    legs: Legs

    def rows_between(self, start_ms: int, end_ms: int) -> Int64s:
        """Charges of the usage that began in [start, end)."""
        inside = (self.instant_ms >= start_ms) & (self.instant_ms < end_ms)
        return np.flatnonzero(inside[self.legs.usage])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCharges:
    """Charges under one release. `reason` is already set where there is nothing to ask the kernel."""

    arrays: Charges
    tariff: Int32s  # number in the program, or NOTHING
    reason: Int8s


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedHoldings:
    """Who held which tariff, arranged once for many calls of rating."""

    frame: pl.DataFrame  # sorted by subscription and time
    subscription_id: Int64s
    effective_from_ms: Int64s
    effective_until_ms: Int64s
    owners: Owners


def arrange_holdings(holdings: pl.DataFrame) -> PreparedHoldings:
    """Sort rows of HOLDING_COLUMNS and number their owners: what it costs depends on all subscribers, not on usage."""
    ordered = holdings.sort("subscription_id", "effective_from_ms")
    return PreparedHoldings(
        frame=ordered,
        subscription_id=np.ascontiguousarray(ordered["subscription_id"].to_numpy()),
        effective_from_ms=np.ascontiguousarray(ordered["effective_from_ms"].to_numpy()),
        effective_until_ms=np.ascontiguousarray(ordered["effective_until_ms"].to_numpy()),
        owners=owners_of(ordered),
    )


def prepare(
    *, programs: Sequence[tuple[int, int, TariffProgram]], usage: pl.DataFrame, holdings: PreparedHoldings
) -> Call:
    """Find each usage's holding and its legs."""
    complete = complete_usage(usage)
    ordered = holdings.frame
    instant_ms = np.ascontiguousarray(complete["occurred_at_ms"].to_numpy())
    holding = np.empty(len(complete), np.int64)
    find_holdings(
        np.ascontiguousarray(complete["subscription_id"].to_numpy()),
        instant_ms,
        holdings.subscription_id,
        holdings.effective_from_ms,
        holdings.effective_until_ms,
        holding,
    )
    releases = sorted(programs, key=lambda release: release[0])
    return Call(
        usage=complete,
        instant_ms=instant_ms,
        holding=holding,
        holdings=ordered,
        owners=holdings.owners,
        legs=expand_legs(
            tariff=held(ordered["tariff"], holding),
            reseller=held(ordered["reseller"], holding),
            supplier=complete["supplier"],
            release=_places(releases, instant_ms=instant_ms),
            reseller_tariffs=[program.reseller_tariffs for _, _, program in releases] or [{}],
            supplier_tariffs=[program.supplier_tariffs for _, _, program in releases] or [{}],
        ),
    )


def _places(releases: Sequence[tuple[int, int, TariffProgram]], *, instant_ms: Int64s) -> Int64s:
    """The place of the release in force at each instant; the first before any was."""
    if len(releases) < 2:
        return np.zeros(len(instant_ms), np.int64)
    starts = np.array([start for start, _, _ in releases], np.int64)
    return np.maximum(np.searchsorted(starts, instant_ms, side="right") - 1, 0)


def held(column: pl.Series, holding: Int64s) -> pl.Series:
    """A column of the holdings, row for row of the usage; "" where nobody held it."""
    places = pl.Series(np.where(holding >= 0, holding, 0))
    if not len(column):
        return pl.Series(column.name, [""], pl.String).new_from_index(0, len(holding))
    found = column.gather(places)
    return found if (holding >= 0).all() else found.zip_with(pl.Series(holding >= 0), pl.Series([""], dtype=pl.String))


def charges_of(call: Call, *, rows: Int64s, program: TariffProgram, stateful: bool) -> ProgramCharges:
    """The charges of some rows as one release sees them."""
    of_usage = call.legs.usage[rows]
    usage_rows, place = np.unique(of_usage, return_inverse=True)
    usage = call.usage if len(usage_rows) == len(call.usage) else call.usage[usage_rows]
    units, timed, known = quantities(usage, program.specifications)
    segment = held(call.holdings["segment"], call.holding[usage_rows])
    classes = class_numbers(usage, segment, program)[place]
    tariff = tariff_numbers(call.legs.tariff.gather(rows), program)
    reason = _reasons(call, of_usage=of_usage, known=known[place], tariff=tariff)
    key, digits = number_keys(usage["other_party"])
    pick = picks(program, tariff=tariff, classes=classes, instant_ms=call.instant_ms[of_usage], reason=reason)
    retail = call.legs.leg[rows] == int(Leg.RETAIL)
    owner, counter_owner = _owners(call, rows=rows, retail=retail, stateful=stateful)
    return ProgramCharges(
        arrays=Charges(
            pick=pick,
            usage_class=classes,
            instant_ms=call.instant_ms[of_usage],
            quantity=np.ascontiguousarray(units[place]),
            whole_by_start=(~timed[place]).astype(np.int8),
            number_key=key[place],
            number_digits=digits[place],
            answered=usage["answered"].to_numpy().astype(np.int8)[place],
            content_nanos=usage["content_nanos"].to_numpy()[place],
            owner=owner,
            counter_owner=counter_owner,
        ),
        tariff=tariff,
        reason=reason,
    )


def tariff_numbers(codes: pl.Series, program: TariffProgram) -> Int32s:
    """Numbers of tariff codes; NOTHING for "" and for codes that the release does not have."""
    if not program.tariff_numbers:
        return np.full(len(codes), NOTHING, np.int32)
    numbers = codes.replace_strict(dict(program.tariff_numbers), default=NOTHING, return_dtype=pl.Int32)
    return numbers.to_numpy().astype(np.int32)


def picks(program: TariffProgram, *, tariff: Int32s, classes: Int32s, instant_ms: Int64s, reason: Int8s) -> Int32s:
    """The pick of each charge, resolving those that were never asked for; NOTHING where a reason is already set."""
    selector = program.selector
    boundaries = program.boundaries_ms
    epochs = len(boundaries) + 1
    epoch = np.searchsorted(boundaries, instant_ms, side="right") if epochs > 1 else np.zeros(len(tariff), np.int64)
    class_count = len(selector.class_list)
    code = (tariff.astype(np.int64) * class_count + classes) * epochs + epoch
    code[reason != 0] = -1
    found = np.full(len(program.tariff_codes) * class_count * epochs + 1, NOTHING, np.int32)
    present = np.zeros(len(found), np.bool_)
    present[code] = True
    present[-1] = False
    for each in np.flatnonzero(present).tolist():
        pair, at = divmod(each, epochs)
        number, class_number = divmod(pair, class_count)
        found[each] = selector.pick_number(number, class_number, at)
    return np.asarray(found[code], np.int32)


def _reasons(call: Call, *, of_usage: Int64s, known: Bools, tariff: Int32s) -> Int8s:
    """What is wrong before any price is looked for."""
    reason = np.zeros(len(of_usage), np.int8)
    reason[tariff < 0] = int(Reason.NO_TARIFF)
    nobody = call.usage["subscription_id"].to_numpy()[of_usage] < 0
    reason[nobody] = int(Reason.NO_SUBSCRIPTION)
    reason[~known] = int(Reason.UNKNOWN_SERVICE)
    return reason


def _owners(call: Call, *, rows: Int64s, retail: Bools, stateful: bool) -> tuple[Int32s, Int32s]:
    """Whose buckets and counters a charge moves. Other parties' legs have counters of their own and no buckets."""
    owner = np.full(len(rows), NOTHING, np.int32)
    counter_owner = np.full((len(rows), 3), NOTHING, np.int32)
    if not stateful or not len(call.holdings):
        return owner, counter_owner
    owners = call.owners
    holding = call.holding[call.legs.usage[rows]]
    found = np.where(holding >= 0, owners.owner_of_holding[np.maximum(holding, 0)], NOTHING)
    owner = np.where(retail, found, NOTHING).astype(np.int32)
    place = np.maximum(found, 0)
    pools = owners.owner_pool.replace_strict(
        dict(owners.pools) or {"": NOTHING}, default=NOTHING, return_dtype=pl.Int32
    )
    theirs = (
        np.searchsorted(owners.subscription_ids, owners.owner_subscription)[place],
        np.searchsorted(owners.account_ids, owners.owner_account)[place],
        pools.to_numpy()[place],
    )
    party = call.legs.party[rows] - 1
    for column, (scope, mine) in enumerate(zip(SCOPES, theirs, strict=True)):
        counter_owner[:, column] = np.where(retail, mine, scope_size(owners, scope) + party)
    counter_owner[found < 0] = NOTHING
    return owner, counter_owner


def order_of(call: Call, *, rows: Int64s, program: TariffProgram, shared: bool) -> Int64s:
    """The order in which charges draw: by time where anything is shared, else by subscription and time, which is
    the same for each of them and kinder to memory."""
    shared = shared or len(call.legs.parties) > 1 or any(scope != SCOPES[0] for _, scope in program.counters)
    of_usage = call.legs.usage[rows]
    keys = call.usage.select("subscription_id", "occurred_at_ms", "event_key_high", "event_key_low")
    if len(keys) != len(rows) or (of_usage != np.arange(len(rows))).any():
        keys = keys[of_usage]
    frame = keys.with_columns(pl.Series("leg", call.legs.leg[rows]))
    first = [] if shared else ["subscription_id"]
    by = [*first, "occurred_at_ms", "event_key_high", "event_key_low", "leg"]
    return frame.select(pl.arg_sort_by(by, maintain_order=True)).to_series().to_numpy().astype(np.int64)
