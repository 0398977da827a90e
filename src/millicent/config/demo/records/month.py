"""A month of records in every true format, dirt included, and a manifest that says what is in each file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from millicent.config.demo.records import lines
from millicent.config.demo.records.charging import (
    DataSession,
    RatingGroupUsage,
    charging_file,
    chf_message_record,
    chf_record,
    pgw_record,
)
from millicent.config.demo.records.sources import SOURCES, DemoSource
from millicent.config.demo.records.traffic import Month, calls, dialled, sessions
from millicent.kit.clock import to_ms

_DAYS_IN_A_FILE = 7
# In each thousand records of a file: damaged, written twice, of somebody unknown.
_DAMAGED, _TWICE, _UNKNOWN = 2, 3, 2
_HOME = "21409"
_VISITED = ("20801", "26801", "23430", "310410")

Records = list[tuple[int, str, bytes]]  # (when, kind, bytes): kind is what the record truly is


@dataclass(slots=True, kw_only=True)
class WrittenFile:
    """What one file truly holds. `records` = the sum of `kinds`, which count what mediation must find:

    good, damaged, duplicate (of a record in this file or an earlier one), unknown (nobody holds the identifier), late
    (good, but of an earlier file's days), not_usage (header lines, Accounting-On), orphan (a Stop whose Start is lost),
    lost_stop (a Start or Interim whose Stop was lost).
    """

    path: str
    source: str
    records: int
    kinds: dict[str, int]
    repeats: str = ""  # the file that this one is a copy of


@dataclass(slots=True, kw_only=True)
class Manifest:
    """The truth about a month of records."""

    seed: int
    month: str
    sources: list[dict[str, object]]
    files: list[WrittenFile] = field(default_factory=list)

    @property
    def records(self) -> int:
        return sum(file.records for file in self.files)


def write_month(
    *,
    folder: Path,
    subscribers: pl.DataFrame,
    month: date,
    seed: int,
    records: int = 300_000,
    zone: str = "Europe/Madrid",
) -> Manifest:
    """Write about `records` records of a month under `folder`, one folder for each source, and `manifest.json`.

    `subscribers` has the columns identifier_kind, identifier and service, and imsi where a SIM is known ("" if not).
    The same arguments write the same bytes. A service without subscribers writes nothing.
    """
    first = datetime(month.year, month.month, 1, tzinfo=UTC)
    following = (first + timedelta(days=32)).replace(day=1)
    period = Month(first_ms=to_ms(first), days=(following - first).days, chance=np.random.default_rng(seed))
    manifest = Manifest(seed=seed, month=f"{month:%Y-%m}", sources=[source.declaration(zone) for source in SOURCES])
    for source in SOURCES:
        chosen = _subscribers_of(subscribers, source)
        if chosen.height:
            count = max(records * source.share // 1_000, 20)
            made = _MAKERS[source.format](period, chosen, count, source, zone, subscribers)
            manifest.files += _write_source(folder, source, period, made)
    (folder / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1))
    return manifest


def _subscribers_of(subscribers: pl.DataFrame, source: DemoSource) -> pl.DataFrame:
    """Everybody is served by one source of each kind, always the same."""
    mine = subscribers.filter(
        pl.col("service").is_in(source.services) & pl.col("identifier_kind").is_in(source.identifier_kinds)
    )
    mine = mine.unique(["identifier", "service"], maintain_order=True)
    return mine.filter(pl.int_range(pl.len()) % source.of == source.turn)


def _voice(
    period: Month, chosen: pl.DataFrame, count: int, source: DemoSource, zone: str, everybody: pl.DataFrame
) -> Records:
    own = everybody.filter(pl.col("identifier_kind") == "msisdn")["identifier"]
    made = calls(period, chosen, count, own_numbers=own)
    made = _with_strangers(period, made)
    if source.format == "kamailio_acc":
        return _kamailio_parts(period, made)
    if source.format == "kamailio_cdrs":
        made = made.filter("answered")
        return _records(made, lines.kamailio_cdrs(made))
    writers: dict[str, Callable[[pl.DataFrame, str], pl.Series]] = {
        "freeswitch_csv": lines.freeswitch_csv,
        "freeswitch_json": lines.freeswitch_json,
        "asterisk_csv": lines.asterisk_csv,
        "delimited": lines.mobile_switch,
    }
    return _records(made, writers[source.format](made, zone))


def _records(events: pl.DataFrame, written: pl.Series) -> Records:
    return [
        (at, kind, text.encode())
        for at, kind, text in zip(
            events["start_ms"].to_list(), events["kind"].to_list(), written.to_list(), strict=True
        )
    ]


def _with_strangers(period: Month, events: pl.DataFrame) -> pl.DataFrame:
    """Some records are of identifiers that nobody holds."""
    stranger = pl.Series(period.chance.integers(0, 1_000, events.height) < _UNKNOWN)
    return events.with_columns(
        identifier=pl.when(stranger).then(pl.format("9990{}", "identifier")).otherwise("identifier"),
        kind=pl.when(stranger).then(pl.lit("unknown")).otherwise("kind"),
    )


def _kamailio_parts(period: Month, made: pl.DataFrame) -> Records:
    invites, byes = lines.kamailio_acc(made)
    lost = period.chance.integers(0, 1_000, made.height)  # 0: the BYE never came, 1: the INVITE
    records: Records = []
    rows = zip(made.rows(named=True), invites.to_list(), byes.to_list(), lost.tolist(), strict=True)
    for call, invite, bye, chance in rows:
        kind, answered = call["kind"], call["answered"]
        if not (answered and chance == 1):
            records.append((call["start_ms"], "lost_stop" if answered and chance == 0 else kind, invite.encode()))
        if bye and chance != 0:
            at = call["start_ms"] + call["ring_ms"] + call["seconds"] * 1_000
            records.append((at, "orphan" if chance == 1 else kind, bye.encode()))
    return sorted(records, key=lambda record: record[0])


def _broadband(
    period: Month, chosen: pl.DataFrame, count: int, source: DemoSource, zone: str, everybody: pl.DataFrame
) -> Records:
    made = _with_strangers(period, sessions(period, chosen, count // 3, megabytes=900))
    lost = period.chance.integers(0, 200, made.height)
    records: Records = []
    parts = [part.to_list() for part in lines.radius_detail(made, zone)]
    for place, session in enumerate(made.select("start_ms", "seconds", "kind").rows(named=True)):
        kind = "lost_stop" if lost[place] == 0 else session["kind"]
        for step, (part, share) in enumerate(zip(parts, (0, 500, 1_000), strict=True)):
            if not (lost[place] == 0 and step == 2):
                records.append((session["start_ms"] + session["seconds"] * share, kind, part[place].encode()))
    return sorted(records, key=lambda record: record[0])


def _devices(
    period: Month, chosen: pl.DataFrame, count: int, source: DemoSource, zone: str, everybody: pl.DataFrame
) -> Records:
    made = _with_strangers(period, sessions(period, chosen, count, megabytes=1))
    return _records(made, lines.device_events(made))


def _mobile_data(
    period: Month, chosen: pl.DataFrame, count: int, source: DemoSource, zone: str, everybody: pl.DataFrame
) -> Records:
    """Data sessions of a PGW or a CHF, and messages of the CHF; now and then a running number is missing."""
    made = _with_strangers(period, sessions(period, chosen, count, megabytes=40))
    if "imsi" not in made.columns:
        made = made.with_columns(imsi=pl.lit(""))
    recipients = dialled(period, made.height, own_numbers=pl.Series([], dtype=pl.String)).to_list()
    away = period.chance.integers(0, 20, made.height)
    gaps = np.cumsum(period.chance.integers(0, 2_000, made.height) == 0)
    records: Records = []
    for place, row in enumerate(made.rows(named=True)):
        sequence = place + 1 + int(gaps[place])
        network = _VISITED[place % len(_VISITED)] if away[place] == 0 else _HOME
        imsi = row["imsi"] or f"{_HOME}{row['identifier'][-10:]}"
        if row["service"] == "sms":
            content = chf_message_record(
                imsi=imsi, sender=row["identifier"], recipient=_digits(recipients[place]), at_ms=row["start_ms"],
                local_sequence=sequence, network=network,
            )  # fmt: skip
        else:
            session = _session(row, imsi=imsi, sequence=sequence, network=network, node=source.name)
            content = chf_record(session) if source.name.startswith("chf") else pgw_record(session)
        records.append((row["start_ms"], row["kind"], content))
    return records


def _digits(number: str) -> str:
    """What a message centre writes: international digits."""
    return number.lstrip("+").removeprefix("00") if number.startswith(("+", "00")) else f"34{number}"


def _session(row: Mapping[str, object], *, imsi: str, sequence: int, network: str, node: str) -> DataSession:
    start, seconds = int(str(row["start_ms"])), int(str(row["seconds"]))
    return DataSession(
        imsi=imsi,
        msisdn=str(row["identifier"]),
        apn="iot.aurora" if row["service"] == "iot" else "internet",
        opening_ms=start,
        seconds=seconds,
        charging_id=int(str(row["serial"])),
        record_sequence=-1,
        local_sequence=sequence,
        network=network,
        slice_type=3 if row["service"] == "iot" else 1,
        node=node,
        usage=[
            RatingGroupUsage(
                rating_group=10,
                uplink_bytes=int(str(row["uplink"])),
                downlink_bytes=int(str(row["downlink"])),
                seconds=seconds,
                first_ms=start,
                last_ms=start + seconds * 1_000,
                qos=9,
            )
        ],
    )


Maker = Callable[[Month, pl.DataFrame, int, DemoSource, str, pl.DataFrame], Records]
_MAKERS: dict[str, Maker] = {
    "freeswitch_csv": _voice,
    "freeswitch_json": _voice,
    "asterisk_csv": _voice,
    "kamailio_acc": _voice,
    "kamailio_cdrs": _voice,
    "delimited": _voice,
    "radius_detail": _broadband,
    "json_lines": _devices,
    "charging_records": _mobile_data,
}


def _write_source(folder: Path, source: DemoSource, period: Month, records: Records) -> list[WrittenFile]:
    """Cut the records into files of some days each, dirty them, and send one file a second time."""
    place = folder / source.name
    place.mkdir(parents=True, exist_ok=True)
    span = _DAYS_IN_A_FILE * 86_400_000
    files = [records[:0] for _ in range(-(-period.days * 86_400_000 // span))]
    late = period.chance.integers(0, 1_000, len(records)) == 0
    for record, comes_late in zip(records, late.tolist(), strict=True):
        index = min((record[0] - period.first_ms) // span, len(files) - 1)
        last = comes_late and index < len(files) - 1 and record[1] == "good" and source.whole
        files[-1 if last else index].append((record[0], "late", record[2]) if last else record)
    written = []
    before: Records = []
    for index, mine in enumerate(files):
        dirty = _dirtied(period, mine, before, source)
        name = f"{source.name}-{index + 1:02d}{source.suffix}"
        content = _content(source, dirty, sequence_number=index + 1, at_ms=period.end_ms)
        (place / name).write_bytes(content)
        written.append(_counted(f"{source.name}/{name}", source, dirty))
        before = [record for record in dirty if record[1] == "good"]
    if source.repeats:
        original = written[0]
        again = f"{source.name}/{source.name}-01-again{source.suffix}"
        (folder / again).write_bytes((folder / original.path).read_bytes())
        written.append(
            WrittenFile(
                path=again,
                source=source.name,
                records=original.records,
                kinds=dict(original.kinds),
                repeats=original.path,
            )
        )
    return written


def _dirtied(period: Month, mine: Records, before: Records, source: DemoSource) -> Records:
    """Damage some records, write some twice, and bring some of the file before again."""
    chance = period.chance.integers(0, 1_000, len(mine)).tolist()
    dirty: Records = []
    for record, draw in zip(mine, chance, strict=True):
        at, kind, content = record
        if draw < _DAMAGED and kind == "good" and source.whole:
            dirty.append((at, "damaged", source.damage(content)))
            continue
        dirty.append(record)
        if draw >= 1_000 - _TWICE and kind == "good":
            dirty.append((at, "duplicate", content))
    good = [record for record in before if record[1] == "good"]
    dirty += [(at, "duplicate", content) for at, _, content in good[:: max(len(good) // 5, 1)][:5]]
    return dirty


def _content(source: DemoSource, records: Records, *, sequence_number: int, at_ms: int) -> bytes:
    bodies = [content for _, _, content in records]
    if source.format == "charging_records":
        five_g = source.name.startswith("chf")
        return charging_file(bodies, sequence_number=sequence_number, five_g=five_g, at_ms=at_ms)
    return source.header + b"".join(bodies)


def _counted(path: str, source: DemoSource, records: Sequence[tuple[int, str, bytes]]) -> WrittenFile:
    kinds: dict[str, int] = {"not_usage": 1} if source.header else {}
    for _, kind, _ in records:
        kinds[kind] = kinds.get(kind, 0) + 1
    return WrittenFile(path=path, source=source.name, records=sum(kinds.values()), kinds=kinds)
