"""Tariff calendars to arrays: UTC offsets by instant and holidays by local day."""

from collections.abc import Iterable
from datetime import date

import numpy as np

from millicent.catalog.types import TariffCalendar
from millicent.kit.clock import zone_transitions
from millicent.kit.kernels import Int64s, UInt8s
from millicent.rating.kernel.arrays import Calendars

_EPOCH = date(1970, 1, 1).toordinal()


def calendar_arrays(calendars: Iterable[TariffCalendar]) -> Calendars:
    """In the order given; that order numbers them."""
    first, holiday_first, holiday_day = [0], [0], []
    instants: list[Int64s] = []
    offsets: list[Int64s] = []
    holidays: list[UInt8s] = []
    for calendar in calendars:
        zone = zone_transitions(calendar.zone)
        instants.append(zone.instant_ms)
        offsets.append(zone.offset_ms)
        first.append(first[-1] + len(zone.instant_ms))
        days = sorted(day.toordinal() - _EPOCH for day in calendar.holidays)
        marks = np.zeros(days[-1] - days[0] + 1 if days else 0, np.uint8)
        marks[[day - days[0] for day in days]] = 1
        holidays.append(marks)
        holiday_day.append(days[0] if days else 0)
        holiday_first.append(holiday_first[-1] + len(marks))
    return Calendars(
        first=np.array(first, np.int64),
        instant_ms=np.concatenate([np.zeros(0, np.int64), *instants]),
        offset_ms=np.concatenate([np.zeros(0, np.int64), *offsets]),
        holiday_first=np.array(holiday_first, np.int64),
        holiday_day=np.array(holiday_day, np.int64),
        holiday=np.concatenate([np.zeros(0, np.uint8), *holidays]),
    )
