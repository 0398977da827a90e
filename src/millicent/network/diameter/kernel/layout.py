"""What the loops make of a batch: one row for each message, one for each service that it asks for."""

import numpy as np

ABSENT = -1
UNIT_KINDS = 6  # charging.types.Unit

# Offsets are into the batch's bytes; -1 where an AVP was absent.
MESSAGE = np.dtype(
    [
        ("result", "i8"),  # 0 sound, else the Result-Code that refuses it
        ("failed_at", "i8"),  # the AVP to blame, -1 none
        ("failed_length", "i8"),  # its octets that are there
        ("failed_slot", "i8"),  # an AVP that is missing, 0 none
        ("start", "i8"),
        ("end", "i8"),
        ("connection", "i8"),
        ("flags", "i8"),  # of the header
        ("hop_by_hop", "i8"),
        ("end_to_end", "i8"),
        ("session_at", "i8"), ("session_length", "i8"),
        ("host_at", "i8"), ("host_length", "i8"),
        ("realm_at", "i8"), ("realm_length", "i8"),
        ("to_realm_at", "i8"), ("to_realm_length", "i8"),
        ("to_host_at", "i8"), ("to_host_length", "i8"),
        ("context_at", "i8"), ("context_length", "i8"),
        ("user_at", "i8"), ("user_length", "i8"),
        ("id_at", "i8"), ("id_length", "i8"), ("id_type", "i8"), ("id_rank", "i8"),  # the Subscription-Id preferred
        ("calling_at", "i8"), ("calling_length", "i8"),
        ("called_at", "i8"), ("called_length", "i8"),
        ("network_at", "i8"), ("network_length", "i8"),
        ("rat_at", "i8"), ("rat_length", "i8"),
        ("station_at", "i8"), ("station_length", "i8"),
        ("application", "i8"),
        ("type", "i8"),  # CC-Request-Type
        ("number", "i8"),  # CC-Request-Number
        ("instant_ms", "i8"),
        ("origin_state", "i8"),
        ("action", "i8"),  # Requested-Action
        ("several", "i8"),  # Multiple-Services-Indicator
        ("three_gpp", "i8"),  # 1: its client knows AVPs of TS 32.299
        ("service_id", "i8"),  # Service-Identifier of the command itself
        ("role", "i8"),
        ("message_type", "i8"),  # SM-Message-Type
        ("proxies", "i8"),  # octets of all Proxy-Info
        ("first_unit", "i8"), ("units", "i8"),  # rows of UNITS
        ("first_row", "i8"), ("rows", "i8"),  # rows of COMMAND
        ("subscriber", "u8"),  # identifier key
        ("traffic", "u8"),  # what tells one traffic from another but for group and service
        ("peer", "u8"),  # Origin-Host
        ("key_high", "u8"), ("key_low", "u8"),  # session key
        ("other_key", "i8"), ("other_digits", "i8"),  # other party
    ]
)  # fmt: skip

UNITS = np.dtype(
    [
        ("message", "i8"),
        ("mscc_at", "i8"), ("mscc_end", "i8"),  # -1: units of the command itself
        ("group", "i8"),
        ("service_id", "i8"),
        ("asked_for", "i8"),  # 1: a Requested-Service-Unit is there
        ("reported", "i8"),  # 1: a Used-Service-Unit is there
        ("reason", "i8"),  # Reporting-Reason
        ("refund_at", "i8"), ("refund_length", "i8"),
        ("currency", "i8"), ("currency_at", "i8"),  # Currency-Code of a CC-Money, where its AVP begins
        ("folded", "i8"),  # 1: an earlier one of the same message speaks for it too
        ("traffic", "u8"),
        ("number", "i8"),  # NameKind.TRAFFIC of the shard, -1: no service is declared for it
        ("policy", "i8"),  # whose Final-Unit-Indications are written
        ("used", "i8", (UNIT_KINDS,)),
        ("used_after", "i8", (UNIT_KINDS,)),
        ("asked", "i8", (UNIT_KINDS,)),
    ]
)  # fmt: skip
