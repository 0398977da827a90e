"""From the values of charging records to usage: who, when, how much, under which rating group."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Bools, Int32s, Int64s, UInt8s
from millicent.mediation.types import Part, SuspenseReason
from millicent.network.dictionaries.charging_records import CHF, KEPT, LINES
from millicent.network.files.fields import text_series
from millicent.network.files.options import CommonOptions
from millicent.network.files.records import Verdict
from millicent.network.kernel import ber, text

RATS = {
    1: "UTRAN", 2: "GERAN", 3: "WLAN", 4: "GAN", 5: "HSPA", 6: "EUTRAN", 7: "VIRTUAL", 8: "NB-IOT", 9: "LTE-M",
    10: "NR", 51: "NR", 52: "NR-U", 59: "LTE-M",
}  # fmt: skip
_SUPI_PREFIX = r"^(?:imsi-|nai-|gli-|gci-|msisdn-|extid-|tel:\+?|sip:|\+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingUsage:
    """Columns of usage; `record` is the record each row came from, `place` its position in it from 0.

    `reports` counts the rows of each record, `verdict` says which records stop.
    """

    columns: Mapping[str, pl.Series]
    record: Int64s
    place: Int64s
    reports: Int64s
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """The kept values of a block of records, column by column."""

    buffer: UInt8s
    start: Int32s
    end: Int32s

    def _positions(self, name: str) -> tuple[Int32s, Int32s]:
        place = KEPT.index(name)
        return np.ascontiguousarray(self.start[:, place]), np.ascontiguousarray(self.end[:, place])

    def number(self, name: str) -> Int64s:
        start, end = self._positions(name)
        value = np.empty(start.size, np.int64)
        ber.read_whole_numbers(self.buffer, start, end, value)
        return value

    def stamp(self, name: str) -> Int64s:
        start, end = self._positions(name)
        value = np.empty(start.size, np.int64)
        ber.read_stamps(self.buffer, start, end, value)
        return value

    def digits(self, name: str, *, skip: int = 0) -> pl.Series:
        start, end = self._positions(name)
        out, offsets = np.empty(2 * int(np.sum(end - start)), np.uint8), np.empty(start.size + 1, np.int64)
        written = ber.read_digits(self.buffer, start, end, skip, out, offsets)
        return text_series(out[:written], offsets)

    def network(self, name: str) -> pl.Series:
        start, end = self._positions(name)
        out, offsets = np.empty(6 * start.size, np.uint8), np.empty(start.size + 1, np.int64)
        written = ber.read_networks(self.buffer, start, end, out, offsets)
        return text_series(out[:written], offsets)

    def words(self, name: str) -> pl.Series:
        """A string; bytes that are not UTF-8 are read as Latin-1."""
        start, end = self._positions(name)
        foreign = np.where(start >= 0, 1, 0).astype(np.uint8)
        text.mark_foreign_text(self.buffer, np.maximum(start, 0), np.maximum(end, 0), foreign)
        style = np.zeros(start.size, np.uint8)
        out = np.empty(text.measure_text(start, end, foreign), np.uint8)
        offsets = np.empty(start.size + 1, np.int64)
        written = text.gather_text(self.buffer, start, end, style, foreign, out, offsets)
        return text_series(out[:written], offsets)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingReader:
    """How one source's charging records are to be understood."""

    common: CommonOptions
    split: bool
    home_networks: tuple[str, ...]
    message_service: str

    def read(
        self,
        *,
        buffer: UInt8s,
        kept_start: Int32s,
        kept_end: Int32s,
        sound: Bools,
        line_record: Int64s,
        lines: Int64s,
    ) -> ChargingUsage:
        values = _Values(buffer=buffer, start=kept_start, end=kept_end)
        facts = self._facts(values)
        verdict = self._judge(facts, values, sound)
        facts = facts.filter(pl.Series(verdict.accepted & sound))
        rows = facts.join(self._reports(line_record, lines), on="record", how="left", maintain_order="left")
        rows = rows.with_columns(place=pl.int_range(pl.len()).over("record"))
        reports = np.ones(sound.size, np.int64)
        counted = rows.group_by("record").len()
        reports[counted["record"].to_numpy()] = counted["len"].to_numpy()
        columns = rows.select(**self._usage())
        return ChargingUsage(
            columns={name: columns[name] for name in columns.columns},
            record=rows["record"].to_numpy(),
            place=rows["place"].to_numpy(),
            reports=reports,
            verdict=verdict,
        )

    def _facts(self, values: _Values) -> pl.DataFrame:
        """One row for each record: everything that is not counted line by line."""
        supi = values.words("subscriber").str.replace(_SUPI_PREFIX, "")
        imsi, msisdn = values.digits("imsi"), values.digits("msisdn", skip=1)
        user = values.words("user").str.replace(_SUPI_PREFIX, "").str.replace(r"[@;].*$", "")
        frame = pl.DataFrame(
            {
                "imsi": imsi, "msisdn": msisdn, "supi": supi, "user": user,
                "supi_kind": values.number("subscriber_type"), "type": values.number("type"),
                "opening": values.stamp("opening"), "start": values.stamp("start"),
                "seconds": values.number("duration"),
                "apn": values.words("apn"), "node": values.words("node"), "session": values.words("session"),
                "network": values.network("network"), "consumer_network": values.network("consumer_network"),
                "charging_id": values.number("charging_id"), "record_sequence": values.number("record_sequence"),
                "local_sequence": values.number("local_sequence"), "cause": values.number("cause"),
                "rat": values.number("rat"), "five_qi": values.number("five_qi"),
                "slice_type": values.number("slice_type"), "slice_part": values.number("slice_part"),
                "sms_sender": values.digits("sms_sender", skip=1),
                "sms_recipient": values.digits("sms_recipient", skip=1),
                "sms_time": values.stamp("sms_time"), "sms_count": values.number("sms_count"),
            }
        )  # fmt: skip
        known_imsi = pl.when(pl.col("imsi") != "").then("imsi").when(pl.col("supi_kind") == 1).then("supi")
        known_msisdn = (
            pl.when(pl.col("msisdn") != "").then("msisdn")
            .when(pl.col("supi_kind") == 0).then("supi")
            .when(pl.col("user").str.contains("^[0-9]+$")).then("user")
            .otherwise("sms_sender")
        )  # fmt: skip
        return frame.with_columns(
            record=pl.int_range(pl.len(), dtype=pl.Int64),
            imsi=known_imsi.otherwise(pl.lit("")),
            msisdn=known_msisdn,
            message=pl.col("sms_time") != -2,
            visited=pl.when(pl.col("network") != "").then("network").otherwise("consumer_network"),
        ).with_columns(**self._identity())

    def _identity(self) -> dict[str, pl.Expr]:
        """The first of the declared identifiers that the record has, and which kind it is."""
        kinds = {"msisdn": "msisdn", "imsi": "imsi", "supi": "sip_user", "user": "sip_user", "apn": "device"}
        chosen = [name for name in self.common.identifier if name in kinds] or ["msisdn", "imsi"]
        values = [pl.when(pl.col(name) != "").then(pl.col(name)) for name in chosen]
        words = [pl.when(pl.col(name) != "").then(pl.lit(kinds[name])) for name in chosen]
        return {
            "identifier": pl.coalesce(*values, pl.lit("")),
            "identifier_kind": pl.coalesce(*words, pl.lit(self.common.identifier_kind)),
        }

    def _judge(self, facts: pl.DataFrame, values: _Values, sound: Bools) -> Verdict:
        verdict = Verdict.of(facts.height)
        opening = facts["opening"].to_numpy()
        verdict.refuse(sound & (opening == -2), SuspenseReason.MISSING_FIELD, "recordOpeningTime is missing")
        verdict.refuse(sound & (opening == -1), SuspenseReason.BAD_TIME, "recordOpeningTime is not a time")
        wrong = (facts["sms_time"] == -1).to_numpy()
        verdict.refuse(sound & wrong, SuspenseReason.BAD_TIME, "eventtimestamp is not a time")
        nobody = (facts["identifier"] == "").to_numpy()
        verdict.refuse(sound & nobody, SuspenseReason.MISSING_FIELD, "nothing says whose usage it is")
        for column, refused in self.common.not_usage:
            if column in facts.columns:
                hit = facts[column].cast(pl.String).is_in(sorted(refused)).to_numpy()
                verdict.refuse(
                    sound & hit, SuspenseReason.NOT_USAGE, f"{column} is one of {', '.join(sorted(refused))}"
                )
        return verdict

    def _reports(self, line_record: Int64s, lines: Int64s) -> pl.DataFrame:
        """The lines of each record added up by rating group, or all together."""
        columns = {f"line_{name}": lines[:, place] for place, name in enumerate(LINES)}
        frame = pl.DataFrame({"record": line_record, **columns}, schema_overrides={"record": pl.Int64})
        # Service lines and the bearer's volumes count the same octets: the finer of the two are used.
        finest = frame.group_by("record").agg(finest=pl.col("line_kind").max())
        frame = frame.join(finest, on="record", how="left", maintain_order="left")
        frame = frame.filter(pl.col("line_kind") == pl.col("finest"))
        if not self.split:
            frame = frame.with_columns(line_rating_group=pl.lit(-1, pl.Int64))
        counts = ("uplink", "downlink", "total", "seconds", "units")
        return frame.group_by("record", "line_rating_group", maintain_order=True).agg(
            *(pl.col(f"line_{name}").clip(0).sum() for name in counts),
            pl.col("line_first_use").filter(pl.col("line_first_use") >= 0).min(),
            pl.col("line_last_use").max(),
            pl.col("line_qos").max(),
            pl.col("line_service_id").first(),
            pl.col("line_kind").first(),
        )

    def _usage(self) -> dict[str, pl.Expr]:
        uplink = pl.col("line_uplink").fill_null(0)
        whole = pl.max_horizontal(pl.col("line_downlink"), pl.col("line_total") - pl.col("line_uplink"))
        counted = pl.col("line_seconds").fill_null(0)
        seconds = pl.when(counted > 0).then(counted).otherwise(pl.col("seconds").clip(0))
        message = pl.col("message")
        partial = pl.col("record_sequence") >= 0  # then startTime is that of the session, not of this piece
        whole_start = pl.when((pl.col("start") >= 0) & ~partial).then("start")
        began = pl.coalesce("line_first_use", whole_start, "opening")
        visited = pl.when(pl.col("visited").is_in(list(self.home_networks))).then(pl.lit(""))
        return {
            "occurred_at_ms": pl.when(message).then("sms_time").otherwise(began),
            "service": pl.when(message).then(pl.lit(self.message_service)).otherwise(pl.lit(self.common.service)),
            "direction": pl.lit(self.common.direction),
            "call_type": pl.lit(self.common.call_type),
            "answered": pl.lit(True),
            "identifier_kind": pl.col("identifier_kind"),
            "identifier": pl.col("identifier"),
            "other_party": pl.col("sms_recipient"),
            "visited_network": visited.otherwise(pl.col("visited")),
            "duration_ms": pl.when(message).then(0).otherwise(seconds * 1_000),
            "uplink_bytes": uplink,
            "downlink_bytes": whole.fill_null(0),
            "events": pl.when(message).then(pl.col("sms_count").clip(1)).otherwise(pl.col("line_units").fill_null(0)),
            "attributes": _attributes(),
            "event_id": pl.concat_str(_session(), "record_sequence", "local_sequence", _group(), separator="/"),
            "part": pl.when(partial).then(pl.lit(Part.PARTIAL.value)).otherwise(pl.lit(Part.WHOLE.value)),
            "correlation_key": pl.when(partial).then(
                pl.concat_str(_session(), _group(), separator="/")
            ).otherwise(pl.lit("")),
            "sequence_number": pl.col("local_sequence"),
        }  # fmt: skip


def _session() -> pl.Expr:
    """What all records of one session share: the charging id is unique within its gateway only."""
    return pl.concat_str("identifier", "node", "session", "charging_id", "start", separator="/")


def _group() -> pl.Expr:
    return pl.col("line_rating_group").fill_null(-1)


def _attributes() -> pl.Expr:
    """Declared attributes as a JSON object; what is unknown is left out."""
    qos = pl.max_horizontal(pl.col("line_qos").fill_null(-1), pl.col("five_qi"))
    part = pl.when(pl.col("slice_part") >= 0).then(pl.format("-{}", _hex6(pl.col("slice_part")))).otherwise(pl.lit(""))
    parts = [
        _quoted("apn", pl.when(pl.col("apn") != "").then(pl.col("apn"))),
        _quoted("rating_group", _known(_group())),
        _quoted("rat", pl.when(pl.col("rat") >= 0).then(pl.col("rat").replace_strict(RATS, default="other"))),
        _quoted("qos_5qi", pl.when(pl.col("type") == CHF).then(_known(qos))),
        _quoted("qci", pl.when(pl.col("type") != CHF).then(_known(qos))),
        _quoted("s_nssai", pl.when(pl.col("slice_type") >= 0).then(pl.format("{}{}", "slice_type", part))),
        _quoted("service_id", _known(pl.col("line_service_id").fill_null(-1))),
        _quoted("charging_id", _known(pl.col("charging_id"))),
        _quoted("cause", _known(pl.col("cause"))),
    ]
    return pl.concat_str(pl.lit("{"), pl.concat_str(parts, separator=",", ignore_nulls=True), pl.lit("}"))


def _known(number: pl.Expr) -> pl.Expr:
    return pl.when(number >= 0).then(number.cast(pl.String))


def _hex6(number: pl.Expr) -> pl.Expr:
    """A slice differentiator is written as six hexadecimal digits (TS 23.003, 28.4.2)."""
    digits = [(number // 16**place) % 16 for place in range(5, -1, -1)]
    letters = dict(enumerate("0123456789abcdef"))
    return pl.concat_str(*(digit.replace_strict(letters, return_dtype=pl.String) for digit in digits))


def _quoted(name: str, value: pl.Expr) -> pl.Expr:
    """`"name":"value"`, null where the value is."""
    clean = value.str.replace_all(r'["\\\x00-\x1f]', "?")
    return pl.concat_str(pl.lit(f'"{name}":"'), clean, pl.lit('"'))
