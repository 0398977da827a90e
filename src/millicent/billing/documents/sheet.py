"""A bill as the PDF template places it: tables row by row, each row with the height that its texts surely need.

Typst lays every cell of a row out twice when it must find the row's height itself, and once when it is told. Most texts
of a bill are short: where there is no doubt we say the height, and the rest typst finds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from millicent.billing.documents.charts import Bar, Chart
from millicent.billing.documents.content import (
    DETAIL_COLUMNS,
    AccountBlock,
    AllowanceRow,
    Amount,
    BillContent,
    ChargeRow,
    DetailBlock,
)
from millicent.billing.documents.widths import widest_centiems

TO_FIND = 0  # a height that typst has to find
_REMARK_SIZE, _TOTAL_SIZE = 85, 115  # tenths of a point, as all sizes and heights here
_REMARKED_HEIGHT, _TOTAL_HEIGHT = 251, 154
_ROOM_IN_MM = 2_780  # thousandths of a point: 2 % less than a millimetre has, for kerning


class Row(TypedDict):
    cells: Sequence[str]  # fewer than there are columns: the first spans as many as are missing
    look: str  # "plain", "credit", "strong", "total", "head"; "group": the heading of those beneath, never left alone
    rule: str  # the line above: "", "thin" or "strong"
    height: int  # tenths of a point, or TO_FIND
    remark: NotRequired[str]  # small, beneath the first cell
    meter: NotRequired[int]  # drawn in place of the second cell: permille


class Table(TypedDict):
    columns: Sequence[int]  # mm
    right_from: int  # columns from this one on stand at the right
    head: Row
    rows: list[Row]
    closed: bool  # with a line at its end


class TitledTable(TypedDict):
    heading: str  # "": none
    subtotal: str
    table: Table


class Tables(TypedDict):
    accounts: Table | None
    summary: Table
    taxes: Table | None
    allowances: Table | None
    charges: list[TitledTable]
    details: list[TitledTable]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruler:
    """The columns of one kind of table, and how tall its rows are."""

    columns: tuple[int, ...]  # mm
    right_from: int
    size: int = 100
    height: int = 145
    head_height: int = 135

    def row(self, cells: Sequence[str], *, look: str = "plain", rule: str = "") -> Row:
        size, height = (_TOTAL_SIZE, _TOTAL_HEIGHT) if look == "total" else (self.size, self.height)
        known = self._fit(cells, size=size)
        return {"cells": cells, "look": look, "rule": rule, "height": height if known else TO_FIND}

    def remarked(self, cells: Sequence[str], *, look: str, remark: str) -> Row:
        row = self.row(cells, look=look)
        known = row["height"] != TO_FIND and _fits(remark, column=self.columns[0], size=_REMARK_SIZE)
        return {**row, "height": _REMARKED_HEIGHT if known else TO_FIND, "remark": remark}

    def table(self, titles: Sequence[str], rows: Iterable[Row], *, closed: bool = False) -> Table:
        height = self.head_height if self._fit(titles, size=_REMARK_SIZE) else TO_FIND
        head: Row = {"cells": titles, "look": "head", "rule": "", "height": height}
        return {
            "columns": self.columns,
            "right_from": self.right_from,
            "head": head,
            "rows": list(rows),
            "closed": closed,
        }

    def _fit(self, cells: Sequence[str], *, size: int) -> bool:
        """Whether each text surely stands on one line. One that spans columns is given its first only."""
        columns = (*self.columns[: len(cells) - 1], self.columns[-1])
        return all(_fits(text, column=column, size=size) for text, column in zip(cells, columns, strict=True))


def _fits(text: str, *, column: int, size: int) -> bool:
    return widest_centiems(text) * size <= column * _ROOM_IN_MM


_AMOUNTS = _Ruler(columns=(134, 40), right_from=1)
_TAXES = _Ruler(columns=(78, 24, 36, 36), right_from=1)
_ALLOWANCES = _Ruler(columns=(60, 38, 50, 26), right_from=2)
_CHARGES = _Ruler(columns=(108, 34, 32), right_from=1)
_BAR_NAME, _LEAST_OF_NAME = 44, 13  # mm; letters of a script that we cannot measure
_DETAILS = _Ruler(columns=(21, 15, 22, 32, 32, 17, 17, 18), right_from=5, size=80, height=94, head_height=97)


def bill_tables(content: BillContent) -> Tables:
    """Every table of a bill. They say what the content says, in its order."""
    return {
        "accounts": _accounts(content) if content["accounts"] else None,
        "summary": _summary(content),
        "taxes": _taxes(content) if content["taxes"] else None,
        "allowances": _allowances(content) if content["allowances"] else None,
        "charges": [_account(account, words=content["words"]) for account in content["charges"]],
        "details": [_detail_table(block, words=content["words"]) for block in content["details"]],
    }


def _amount_row(row: Amount) -> Row:
    return _AMOUNTS.row((row["label"], row["amount"]), look="credit" if row["credit"] else "plain")


def _accounts(content: BillContent) -> Table:
    words = content["words"]
    total = _AMOUNTS.row((words["total_before_tax"], content["net"]), look="strong", rule="thin")
    return _AMOUNTS.table((words["charge"], words["amount"]), [*map(_amount_row, content["accounts"]), total])


def _summary(content: BillContent) -> Table:
    words = content["words"]
    sums = (
        _AMOUNTS.row((words["total_before_tax"], content["net"]), rule="thin"),
        _AMOUNTS.row((words["total_tax"], content["tax"])),
        _AMOUNTS.row((words["total"], content["total_words"]), look="total", rule="strong"),
    )
    return _AMOUNTS.table((words["charge"], words["amount"]), [*map(_amount_row, content["summary"]), *sums])


def _taxes(content: BillContent) -> Table:
    words = content["words"]
    titles = (words["tax"], words["tax_rate"], words["tax_base"], words["tax_amount"])
    rows = (_TAXES.row((tax["name"], tax["rate"], tax["base"], tax["amount"])) for tax in content["taxes"])
    return _TAXES.table(titles, rows, closed=True)


def _allowances(content: BillContent) -> Table:
    words = content["words"]
    titles = (words["allowance"], "", words["used"], words["left"])
    return _ALLOWANCES.table(titles, map(_allowance_row, content["allowances"]), closed=True)


def _allowance_row(allowance: AllowanceRow) -> Row:
    cells = (allowance["name"], "", allowance["text"], allowance["left"])
    remark = allowance["small"]
    row = _ALLOWANCES.remarked(cells, look="plain", remark=remark) if remark else _ALLOWANCES.row(cells)
    return {**row, "meter": allowance["permille"]} if allowance["permille"] >= 0 else row


def _account(account: AccountBlock, *, words: dict[str, str]) -> TitledTable:
    total = _CHARGES.row((words["total_before_tax"], account["subtotal"]), look="strong", rule="strong")
    titles = (words["charge"], words["quantity"], words["amount"])
    table = _CHARGES.table(titles, [*_charge_rows(account), total])
    return {"heading": account["heading"], "subtotal": account["subtotal"], "table": table}


def _charge_rows(account: AccountBlock) -> Iterator[Row]:
    for place, block in enumerate(account["blocks"]):
        yield _CHARGES.row((block["heading"], block["subtotal"]), look="group", rule="thin" if place else "")
        yield from map(_charge_row, block["rows"])


def _charge_row(charge: ChargeRow) -> Row:
    cells = (charge["text"], charge["quantity"], charge["amount"])
    look = "credit" if charge["credit"] else "plain"
    if charge["small"]:
        return _CHARGES.remarked(cells, look=look, remark=charge["small"])
    return _CHARGES.row(cells, look=look)


def _detail_table(block: DetailBlock, *, words: dict[str, str]) -> TitledTable:
    total = _DETAILS.row((block["count"], block["total"]), look="strong", rule="thin")
    titles = [words[column] for column in DETAIL_COLUMNS]
    table = _DETAILS.table(titles, [*map(_DETAILS.row, block["rows"]), total])
    return {"heading": block["heading"], "subtotal": "", "table": table}


# ---------------------------------------------------------------- names of lying bars


def fitted_charts(charts: Sequence[Chart]) -> list[Chart]:
    """The same, with the names of lying bars cut to the room that they have. The alternative says them whole."""
    return [
        {**chart, "bars": [_named_bar(bar) for bar in chart["bars"]]} if chart["lying"] else chart for chart in charts
    ]


def _named_bar(bar: Bar) -> Bar:
    name = bar["label"]
    if _fits(name, column=_BAR_NAME, size=_REMARK_SIZE):
        return bar
    most = next(
        (
            size
            for size in range(len(name), _LEAST_OF_NAME, -1)
            if _fits(name[:size] + "…", column=_BAR_NAME, size=_REMARK_SIZE)
        ),
        _LEAST_OF_NAME,
    )
    return {**bar, "label": name[:most].rstrip() + "…" if most < len(name) else name}
