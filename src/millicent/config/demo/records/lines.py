"""Events as the records that each system writes: text built column by column, bytes at the end."""

import polars as pl

_STAMP = "%Y-%m-%d %H:%M:%S"


def local(instant_ms: pl.Expr, zone: str, pattern: str = _STAMP) -> pl.Expr:
    """An instant as the wall clock of a zone shows it."""
    at = instant_ms.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return at.dt.strftime(pattern)


def _stamps(zone: str) -> dict[str, pl.Expr]:
    answer, end = (
        pl.col("start_ms") + pl.col("ring_ms"),
        pl.col("start_ms") + pl.col("ring_ms") + pl.col("seconds") * 1_000,
    )
    return {
        "start": local(pl.col("start_ms"), zone),
        "answer": pl.when("answered").then(local(answer, zone)).otherwise(pl.lit("")),
        "end": local(end, zone),
        "whole": pl.col("seconds") + pl.col("ring_ms") // 1_000,
    }


def freeswitch_csv(calls: pl.DataFrame, zone: str) -> pl.Series:
    """mod_cdr_csv, vanilla template."""
    cause = pl.when("answered").then(pl.lit("NORMAL_CLEARING")).otherwise(pl.lit("NO_ANSWER"))
    return (
        calls.with_columns(**_stamps(zone), cause=cause)
        .select(
            pl.format(
                '"{}","{}","{}","default","{}","{}","{}","{}","{}","{}","{}","","{}","PCMA","PCMA"\n',
                "identifier",
                "identifier",
                "callee",
                "start",
                "answer",
                "end",
                "whole",
                "seconds",
                "cause",
                "uuid",
                "identifier",
            )
        )
        .to_series()
    )


def freeswitch_json(calls: pl.DataFrame, zone: str) -> pl.Series:
    """mod_json_cdr: one object to a line, the variables that billing reads and some that it does not."""
    answer = pl.col("start_ms") + pl.col("ring_ms")
    template = (
        '{"core-uuid":"63e2315b-d538-4dfa-9ed5-af73ba6210b6","switchname":"fs-bcn1","channel_data":{"state":'
        '"CS_REPORTING"},"variables":{"uuid":"§","direction":"inbound","accountcode":"§","caller_id_number":"§",'
        '"destination_number":"§","start_uepoch":"§000","answer_uepoch":"§","end_uepoch":"§000","billmsec":"§",'
        '"billsec":"§","read_codec":"opus","write_codec":"PCMA","hangup_cause":"§","sip_user_agent":"Zoiper \\"5\\""},'
        '"callflow":[{"dialplan":"XML","caller_profile":{"username":"§","caller_id_number":"§"}}]}\n'
    )
    values = calls.with_columns(
        answer=pl.when("answered").then(pl.format("{}000", answer)).otherwise(pl.lit("0")),
        end=answer + pl.col("seconds") * 1_000,
        millis=pl.col("seconds") * 1_000,
        cause=pl.when("answered").then(pl.lit("NORMAL_CLEARING")).otherwise(pl.lit("USER_BUSY")),
    )
    names = (
        "uuid",
        "identifier",
        "identifier",
        "callee",
        "start_ms",
        "answer",
        "end",
        "millis",
        "seconds",
        "cause",
        "identifier",
        "identifier",
    )
    return values.select(_filled(template, names)).to_series()


def _filled(template: str, names: tuple[str, ...]) -> pl.Expr:
    """Put columns where the template has §; its braces are text."""
    pieces = template.split("§")
    parts = [pl.lit(pieces[0])]
    for name, piece in zip(names, pieces[1:], strict=True):
        parts += [pl.col(name).cast(pl.String), pl.lit(piece)]
    return pl.concat_str(parts)


def asterisk_csv(calls: pl.DataFrame, zone: str) -> pl.Series:
    """cdr_csv with uniqueid and userfield."""
    said = pl.when("answered").then(pl.lit("ANSWERED")).otherwise(pl.lit("NO ANSWER"))
    return (
        calls.with_columns(**_stamps(zone), said=said, at=pl.col("start_ms") // 1_000, leg=pl.col("uuid").str.head(8))
        .select(
            pl.format(
                '"{}","{}","{}","from-internal","""{}"" <{}>","PJSIP/{}-{}","PJSIP/carrier1-{}","Dial",'
                '"PJSIP/{}@carrier1,60","{}","{}","{}",{},{},"{}","DOCUMENTATION","{}.{}",""\n',
                "identifier",
                "identifier",
                "callee",
                "identifier",
                "identifier",
                "identifier",
                "leg",
                "leg",
                "callee",
                "start",
                "answer",
                "end",
                "whole",
                "seconds",
                "said",
                "at",
                pl.int_range(pl.len()),
            )
        )
        .to_series()
    )


def kamailio_acc(calls: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """acc through db_flatstore: (the INVITE of each call, its BYE or "" where it was not answered)."""
    answer = (pl.col("start_ms") + pl.col("ring_ms")) // 1_000
    key = pl.format("{}|{}|{}@sbc1", pl.col("uuid").str.head(8), pl.col("uuid").str.tail(8), "uuid")
    back = pl.format("{}|{}|{}@sbc1", pl.col("uuid").str.tail(8), pl.col("uuid").str.head(8), "uuid")
    code = pl.when("answered").then(pl.lit("200|OK")).otherwise(pl.lit("486|Busy Here"))
    hung_up_by_callee = pl.col("seconds") % 2 == 0
    made = calls.select(
        invite=pl.format("INVITE|{}|{}|{}|{}|{}\n", key, code, answer, "identifier", "callee"),
        bye=pl.when("answered")
        .then(
            pl.format(
                "BYE|{}|200|OK|{}|{}|{}\n",
                pl.when(hung_up_by_callee).then(back).otherwise(key),
                answer + pl.col("seconds"),
                pl.when(hung_up_by_callee).then("callee").otherwise("identifier"),
                pl.when(hung_up_by_callee).then("identifier").otherwise("callee"),
            )
        )
        .otherwise(pl.lit("")),
    )
    return made["invite"], made["bye"]


def kamailio_cdrs(calls: pl.DataFrame) -> pl.Series:
    """The cdrs table through db_flatstore, with the Call-ID as an extra column. It has answered calls only."""
    answer = (pl.col("start_ms") + pl.col("ring_ms")) // 1_000
    return calls.select(
        pl.format(
            "{}|{}|{}.000000|{}|{}|{}@sbc2\n",
            answer,
            answer + pl.col("seconds"),
            "seconds",
            "identifier",
            "callee",
            "uuid",
        )
    ).to_series()


def mobile_switch(calls: pl.DataFrame, zone: str) -> pl.Series:
    """An MSC that no one wrote a decoder for: semicolons, day first, tenths of a second."""
    answer = pl.col("start_ms") + pl.col("ring_ms")
    cause = pl.when("answered").then(pl.lit("A")).otherwise(pl.lit("N"))
    return calls.select(
        pl.format(
            "MOC;{};{};{};{};{};{}\n",
            "uuid",
            "identifier",
            "callee",
            local(answer, zone, "%d/%m/%Y %H:%M:%S"),
            pl.col("seconds") * 10,
            cause,
        )
    ).to_series()


def device_events(sessions: pl.DataFrame) -> pl.Series:
    """What a platform for devices and television pushes: one JSON object to a line."""
    template = '{"id":"§","time":"§","service":"§","device":{"id":"§"},"volume":{"up":§,"down":§},"units":§}\n'
    counted = pl.col("service").is_in(["data", "iot", "broadband"])
    values = sessions.with_columns(
        time=local(pl.col("start_ms"), "UTC", "%Y-%m-%dT%H:%M:%SZ"),
        up=pl.when(counted).then("uplink").otherwise(0),
        down=pl.when(counted).then("downlink").otherwise(0),
        units=pl.when(counted).then(0).otherwise(1),
        id=pl.format("{}-{}", "serial", pl.int_range(pl.len())),
    )
    return values.select(_filled(template, ("id", "time", "service", "identifier", "up", "down", "units"))).to_series()


def radius_detail(sessions: pl.DataFrame, zone: str) -> tuple[pl.Series, pl.Series, pl.Series]:
    """FreeRADIUS detail: (Start, Interim-Update, Stop) of each session."""
    half = pl.col("seconds") // 2
    return (
        _detail(sessions, zone, "Start", pl.lit(0), pl.lit(0), pl.lit(0)),
        _detail(sessions, zone, "Interim-Update", half, pl.col("uplink") // 2, pl.col("downlink") // 2),
        _detail(sessions, zone, "Stop", pl.col("seconds"), pl.col("uplink"), pl.col("downlink")),
    )


def _detail(sessions: pl.DataFrame, zone: str, status: str, seconds: pl.Expr, up: pl.Expr, down: pl.Expr) -> pl.Series:
    at = pl.col("start_ms") + seconds * 1_000
    ending = "\tAcct-Terminate-Cause = User-Request\n" if status == "Stop" else ""
    vendor = (
        '\tMikrotik-Rate-Limit = "50M/600M"\n'
        if status == "Start"
        else '\tCisco-AVPair = "subscriber:service-name=HOME"\n'
    )
    return sessions.select(
        pl.format(
            '{}\n\tUser-Name = "{}"\n\tAcct-Status-Type = {}\n\tAcct-Session-Id = "{}"\n'
            '\tNAS-IP-Address = 10.20.0.{}\n\tNAS-Identifier = "bras-{}"\n\tNAS-Port-Type = Ethernet\n'
            "\tFramed-IP-Address = 100.64.{}.{}\n{}\tAcct-Session-Time = {}\n"
            "\tAcct-Input-Octets = {}\n\tAcct-Output-Octets = {}\n\tAcct-Input-Gigawords = {}\n"
            '\tAcct-Output-Gigawords = {}\n\tEvent-Timestamp = "{}"\n{}\tAcct-Delay-Time = 0\n'
            '\tAcct-Unique-Session-Id = "{}"\n\tTimestamp = {}\n\n',
            local(at, zone, "%a %b %e %H:%M:%S %Y"),
            "identifier",
            pl.lit(status),
            _session(),
            _nas(),
            _nas(),
            pl.col("serial") % 64,
            pl.col("serial") % 251,
            pl.lit(vendor),
            seconds,
            up % 2**32,
            down % 2**32,
            up // 2**32,
            down // 2**32,
            local(at, "UTC", "%b %d %Y %H:%M:%S UTC"),
            pl.lit(ending),
            _unique(),
            at // 1_000,
        )
    ).to_series()


def _session() -> pl.Expr:
    return pl.col("serial").cast(pl.String).str.zfill(10)


def _nas() -> pl.Expr:
    return pl.col("serial") % 4 + 1


def _unique() -> pl.Expr:
    return pl.format("{}{}", pl.col("start_ms").cast(pl.String).str.zfill(16), _session().str.zfill(16))
