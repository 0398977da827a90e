"""Requests on which the shard's code fails: refused, written down so that somebody can mend it, and not tried again.

`poison-<sequence>-<digest>.json` in the folder of snapshots has the rows and texts, and after which batch they failed:
a shard restored to that batch fails on them again.
"""

import json
from base64 import b64encode
from collections import OrderedDict
from hashlib import blake2b
from pathlib import Path
from traceback import format_exception

import numpy as np
import structlog

from millicent.charging.journal.layouts import description_text
from millicent.charging.types import ANSWER, NOT_SAID, Result, Rows
from millicent.kit import metrics
from millicent.kit.errors import Defect

_MOST = 1_024  # remembered; each would cost a remaking of the shard again


class RequestPoisonous(Defect):
    """The shard's code fails on a request: it is refused as invalid, and nothing of it was done."""

    code = "charging_request_poisonous"


class Poison:
    """What this process has refused. A new process, perhaps of mended code, tries once more."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._known: OrderedDict[bytes, int] = OrderedDict()  # digest -> key_low of its first row

    def __len__(self) -> int:
        return len(self._known)

    def touches(self, commands: Rows) -> bool:
        """Whether something of the same key was refused: a quick look, before a longer one."""
        return bool(np.isin(commands["key_low"], list(self._known.values())).any())

    def known(self, commands: Rows, texts: bytes) -> Rows | None:
        """The answer, when the same was refused before."""
        return _invalid(len(commands)) if _digest(commands, texts) in self._known else None

    def refuse(self, commands: Rows, texts: bytes, *, sequence: int, fault: Exception) -> Rows:
        """Log it, count it, write it down; returns the answer."""
        digest = _digest(commands, texts)
        self._known[digest] = int(commands["key_low"][0])
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        metrics.FAULTS.labels(code=RequestPoisonous.code).inc()
        structlog.get_logger("millicent.charging").error(
            "request refused on which the shard fails", code=RequestPoisonous.code, digest=digest.hex(),
            sequence=sequence, verbs=commands["verb"].tolist(), fault=f"{type(fault).__name__}: {fault}",
            written=self._write(commands, texts, digest=digest, sequence=sequence, fault=fault),
        )  # fmt: skip
        return _invalid(len(commands))

    def _write(self, commands: Rows, texts: bytes, *, digest: bytes, sequence: int, fault: Exception) -> str:
        if self.folder is None:
            return ""
        document = {
            "after_sequence": sequence,
            "layout": json.loads(description_text(commands.dtype)),
            "commands": b64encode(commands.tobytes()).decode(),
            "texts": b64encode(texts).decode(),
            "fault": format_exception(fault),
        }
        path = self.folder / f"poison-{sequence:020}-{digest.hex()}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=1))
            path.chmod(0o600)
        except OSError as full:
            return f"not: {full}"
        return str(path)


def _digest(commands: Rows, texts: bytes) -> bytes:
    """The same whenever it comes: when it was received does not matter."""
    digest = blake2b(digest_size=8)
    for row in np.flatnonzero(commands["text_length"]).tolist():
        begin = int(commands["text_offset"][row])
        digest.update(texts[begin : begin + int(commands["text_length"][row])])
    for name in commands.dtype.names or ():
        if name not in ("received_ms", "text_offset"):
            digest.update(commands[name].tobytes())
    return digest.digest()


def _invalid(count: int) -> Rows:
    answers = np.zeros(count, ANSWER)
    for name in ("granted_units", "tariff_change_ms", "holding_seconds", "threshold_units", "subscriber", "session",
                 "currency"):  # fmt: skip
        answers[name] = NOT_SAID
    answers["result"] = Result.INVALID
    return answers
