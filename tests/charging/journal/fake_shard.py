"""A shard of two tables and three verbs: as deterministic as the real one, and small enough to be seen through."""

import numpy as np

from millicent.charging.types import (
    ANSWER,
    CHARGE,
    MOVEMENT,
    NOTICE,
    Batch,
    Door,
    NameKind,
    NoticeKind,
    Result,
    RowImages,
    Verb,
)

ACCOUNT = np.dtype([("account_id", "i8"), ("balance", "i8"), ("told_ms", "i8")])
STORED = np.dtype([("key_high", "u8"), ("key_low", "u8"), ("answer", "i8")])
TEXT = np.dtype([("length", "u4"), ("text", "u1", (20,))])
RING = 64


class FakeShard:
    """TOP_UP adds to an account once for each key; CHECK tells a balance; ADJUST also rings the door."""

    def __init__(self) -> None:
        self.fails_on = -1
        self.begin_again()

    def begin_again(self) -> None:
        self.accounts = np.zeros(0, ACCOUNT)
        self.stored = np.zeros(RING, STORED)
        self.meta = np.zeros(1, np.dtype([("now_ms", "i8")]))
        self.ring = np.zeros(1, np.dtype([("next", "i8")]))
        self.session_text = np.zeros(8, TEXT)
        self.session_text["length"][7], self.session_text["text"][7, :9] = 9, list(b"session 7")
        self.texts: dict[tuple[str, str], int] = {}
        self.fresh: list[tuple[str, int, str]] = []

    def tables(self):
        return {"meta": self.meta, "account": self.accounts, "stored": self.stored, "ring": self.ring,
                "session_text": self.session_text}  # fmt: skip

    def number_of(self, kind: NameKind, text: str) -> int:
        if (kind, text) not in self.texts:
            number = sum(1 for known, _ in self.texts if known == kind)
            self.texts[kind, text] = number
            self.fresh.append((str(kind), number, text))
        return self.texts[kind, text]

    def apply(self, commands, texts) -> Batch:
        touched = {"meta": set(), "account": set(), "stored": set(), "ring": set()}
        answers = np.zeros(len(commands), ANSWER)
        movements, notices = [], []
        for number, command in enumerate(commands):
            if command["amount"] == self.fails_on:
                raise ZeroDivisionError("told to fail")
            self._apply_one(number, command, answers, movements, notices, touched)
        tables = self.tables()
        images = [
            RowImages(table=name, rows=np.array(sorted(rows), np.int64), images=tables[name][sorted(rows)].copy())
            for name, rows in touched.items()
            if rows
        ]
        fresh, self.fresh = self.fresh, []
        return Batch(
            commands=commands, texts=texts, answers=answers, charges=np.zeros(0, CHARGE), names=fresh, images=images,
            movements=np.array(movements, MOVEMENT) if movements else np.zeros(0, MOVEMENT),
            notices=np.concatenate(notices) if notices else np.zeros(0, NOTICE),
        )  # fmt: skip

    def _apply_one(self, number, command, answers, movements, notices, touched):
        answer = answers[number]
        verb = command["verb"]
        if command["received_ms"] > self.meta["now_ms"][0]:
            self.meta["now_ms"] = command["received_ms"]
            touched["meta"].add(0)
        if verb == Verb.TICK:
            return
        row = self._account(int(command["account_id"]), makes=verb != Verb.CHECK)
        if row is None:
            answer["result"] = Result.UNKNOWN_ACCOUNT
            return
        account = self.accounts[row]
        if verb != Verb.CHECK:
            same = (self.stored["key_high"] == command["key_high"]) & (self.stored["key_low"] == command["key_low"])
            if same.any() and (command["key_high"] or command["key_low"]):
                answer["stored"] = 1
                answer["available_nanos"] = self.stored["answer"][same][0]
                return
            account["balance"] += command["amount"]
            account["told_ms"] = command["received_ms"]
            place = int(self.ring["next"][0]) % RING
            self.ring["next"] += 1
            self.stored[place] = (command["key_high"], command["key_low"], account["balance"])
            touched["account"].add(row)
            touched["stored"].add(place)
            touched["ring"].add(0)
            movements.append((number, 0, row, account["account_id"], -1, command["amount"], account["balance"], 2))
        if verb == Verb.ADJUST:
            notice = np.zeros(1, NOTICE)
            notice["kind"], notice["door"], notice["session"] = NoticeKind.REAUTHORISE, Door.HTTP, 7
            notices.append(notice)
        answer["available_nanos"] = account["balance"]

    def _account(self, account_id, *, makes):
        found = np.flatnonzero(self.accounts["account_id"] == account_id)
        if len(found):
            return int(found[0])
        if not makes:
            return None
        fresh = np.zeros(1, ACCOUNT)
        fresh["account_id"] = account_id
        self.accounts = np.concatenate([self.accounts, fresh])
        return len(self.accounts) - 1

    def replay(self, images, names) -> None:
        for kind, number, text in names:
            self.texts[NameKind(kind), text] = number
        for image in images:
            if image.table == "account":
                missing = int(image.rows.max()) + 1 - len(self.accounts) if len(image.rows) else 0
                if missing > 0:
                    self.accounts = np.concatenate([self.accounts, np.zeros(missing, ACCOUNT)])
            self.tables()[image.table][image.rows] = image.images
