"""What a bill says, as texts in their order: the one content that PDF and HTML both show.

Amounts, dates and words are final here, in the customer's language; a renderer only places them. These are plain
dictionaries because the PDF template receives them as JSON, as they are.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypedDict

from millicent.billing.documents.charts import Chart, usage_charts
from millicent.billing.documents.explain import why
from millicent.billing.documents.formats import Formats
from millicent.billing.documents.words import WORDS, choose_language
from millicent.billing.types import AllowanceUse, Bill, BillLine, BillState, BillTax, UsageDetail
from millicent.catalog.types import ChargeKind, LocalizedText
from millicent.customers.types import BillingAccountFacts

KINDS = tuple(ChargeKind)
_LONGEST_RUNNING = 60  # letters of a name that a page's foot has room for
_LONGEST_LEGAL = 280  # letters that a page's foot has room for


class Party(TypedDict):
    name: str
    lines: list[str]


class Amount(TypedDict):
    label: str
    amount: str
    credit: bool


class TaxRow(TypedDict):
    name: str
    rate: str
    base: str
    amount: str


class ChargeRow(TypedDict):
    text: str
    small: str  # period, quantities, why: "" where there is nothing to add
    quantity: str
    amount: str
    credit: bool


class ChargeBlock(TypedDict):
    heading: str
    rows: list[ChargeRow]
    subtotal: str


class AccountBlock(TypedDict):
    heading: str  # "" when the payer is alone
    blocks: list[ChargeBlock]
    subtotal: str


class AllowanceRow(TypedDict):
    name: str
    small: str  # who shares it, where that has to be said
    text: str
    left: str
    permille: int  # used, 0 to 1000; -1 unlimited


class DetailBlock(TypedDict):
    heading: str
    rows: list[tuple[str, ...]]  # one text for each of DETAIL_COLUMNS
    total: str
    count: str


class BillContent(TypedDict):
    language: str
    title: str
    kind: str  # what the document is called: Bill
    running: str  # whose bill, at the foot of every page
    words: dict[str, str]
    notice: str
    operator: Party
    contact: list[str]
    legal: str
    customer: Party
    facts: list[Amount]
    total_label: str
    total: str
    due_label: str
    due: str
    payment: list[str]
    accounts: list[Amount]
    summary: list[Amount]
    net: str
    tax: str
    total_words: str
    taxes: list[TaxRow]
    tax_notes: list[str]
    charts: list[Chart]
    allowances: list[AllowanceRow]
    charges: list[AccountBlock]
    details: list[DetailBlock]


DETAIL_COLUMNS = ("date", "time", "service", "other_party", "destination", "quantity", "included", "amount")
_TEMPLATE_WORDS = (
    "bill", "bill_for", "how_to_pay", "summary", "charge", "amount", "accounts_on_this_bill", "total_before_tax",
    "total_tax", "total", "taxes", "tax", "tax_rate", "tax_base", "tax_amount", "charges", "quantity", "subtotal",
    "allowances", "allowance", "used", "left", "your_usage", "details", "page", "questions", *DETAIL_COLUMNS,
)  # fmt: skip


def read_text(texts: LocalizedText, language: str) -> str:
    """Catalogue words in the language of the bill, else in English, else in any."""
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")


def bill_content(bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> BillContent:
    """Everything that a bill says, in one language: the asked one, else the customer's, else the operator's first."""
    chosen = choose_language(language, bill.payer.language, *bill.operator.languages)
    formats = Formats(language=chosen, country=bill.operator.country, currency=bill.currency, zone=bill.payer.zone)
    operator = bill.operator
    to_pay = bill.total_nanos > 0 and bill.state is BillState.ISSUED
    return {
        "language": chosen,
        "title": _title(bill, formats),
        "kind": formats.word("bill"),
        "running": " · ".join(text for text in (bill.number, bill.payer.party_name[:_LONGEST_RUNNING]) if text),
        "words": {word: WORDS[chosen][word] for word in _TEMPLATE_WORDS},
        "notice": "" if bill.state is BillState.ISSUED else formats.word("rehearsal"),
        "operator": {"name": operator.legal_name, "lines": list(operator.address_lines)},
        "contact": list(operator.contact_lines),
        "legal": _legal(bill, formats),
        "customer": {"name": bill.payer.party_name, "lines": list(bill.payer.address_lines)},
        "facts": list(_facts(bill, formats)),
        "total_label": formats.word(_total_word(bill)),
        "total": formats.money(abs(bill.total_nanos)),
        "due_label": formats.word("due_by") if to_pay else "",
        "due": formats.day(bill.due_at_ms) if to_pay else "",
        "payment": list(operator.payment_lines) if to_pay else [],
        "accounts": list(_accounts(bill, formats)),
        "summary": list(_summary(bill, formats)),
        "net": formats.money(bill.net_nanos),
        "tax": formats.money(bill.tax_nanos),
        "total_words": formats.money(bill.total_nanos),
        "taxes": [_tax_row(tax, formats) for tax in bill.taxes],
        "tax_notes": list(_tax_notes(bill, formats)),
        "charts": usage_charts(bill, details, formats=formats),
        "allowances": [_allowance(bill, use, formats) for use in bill.allowances],
        "charges": list(_charges(bill, formats)),
        "details": list(_details(bill, details, formats)),
    }


def _title(bill: Bill, formats: Formats) -> str:
    if bill.state is BillState.REHEARSED:
        return formats.word("rehearsal_title", operator=bill.operator.legal_name)
    return formats.word("bill_title", number=bill.number, operator=bill.operator.legal_name)


def _legal(bill: Bill, formats: Formats) -> str:
    number = bill.operator.tax_number
    parts = [
        bill.operator.legal_name,
        formats.word("tax_number_of_operator", number=number) if number else "",
        *bill.operator.address_lines,
    ]
    return " · ".join(part for part in parts if part)[:_LONGEST_LEGAL]


def _total_word(bill: Bill) -> str:
    if bill.total_nanos > 0:
        return "total_to_pay"
    return "credit_in_your_favour" if bill.total_nanos < 0 else "nothing_to_pay"


def _facts(bill: Bill, formats: Formats) -> Iterator[Amount]:
    facts = (
        ("bill_number", bill.number),
        ("bill_date", formats.day(bill.issued_at_ms)),
        ("period", formats.span(bill.cycle_from_ms, bill.cycle_until_ms)),
        ("account", bill.payer.code),
        ("your_tax_number", bill.payer.tax_number),
    )
    for word, text in facts:
        if text:
            yield {"label": formats.word(word), "amount": text, "credit": False}


def _amount(label: str, nanos: int, formats: Formats) -> Amount:
    return {"label": label, "amount": formats.money(nanos), "credit": nanos < 0}


def _summary(bill: Bill, formats: Formats) -> Iterator[Amount]:
    """One row for each kind of charge that the bill has, before tax."""
    for kind in KINDS:
        lines = [line for line in bill.lines if line.kind is kind]
        if lines:
            yield _amount(formats.word(f"kind_{kind}"), sum(line.net_nanos for line in lines), formats)


def _accounts(bill: Bill, formats: Formats) -> Iterator[Amount]:
    """What each account of a hierarchy adds, before tax; nothing when the payer is alone."""
    if len(_accounts_with_charges(bill)) < 2:
        return
    for account in bill.accounts:
        nanos = [line.net_nanos for line in bill.lines if line.billing_account_id == account.billing_account_id]
        if nanos:
            yield _amount(_account_label(account), sum(nanos), formats)


def _accounts_with_charges(bill: Bill) -> set[int]:
    return {line.billing_account_id for line in bill.lines}


def _account_label(account: BillingAccountFacts) -> str:
    return f"{account.party_name} · {account.code}"


def _tax_row(tax: BillTax, formats: Formats) -> TaxRow:
    name = read_text(tax.texts, formats.language) or tax.tax
    return {
        "name": f"{name} ({formats.word('tax_included')})" if tax.inclusive else name,
        "rate": formats.percent(tax.rate) if tax.rate or not tax.amount_nanos else formats.word("tax_fixed"),
        "base": formats.money(tax.base_nanos),
        "amount": formats.money(tax.amount_nanos),
    }


def _tax_notes(bill: Bill, formats: Formats) -> Iterator[str]:
    """Legal mentions, each once."""
    notes: dict[str, None] = {}
    for tax in bill.taxes:
        name = read_text(tax.texts, formats.language) or tax.tax
        kind, _, certificate = tax.note.partition(":")
        if kind == "reverse_charge":
            notes[formats.word("reverse_charge", tax=name)] = None
        elif kind == "exempt":
            notes[formats.word("exempt", tax=name, certificate=certificate)] = None
        elif tax.note:
            notes[f"{name}: {tax.note}"] = None
    yield from notes


def _allowance(bill: Bill, use: AllowanceUse, formats: Formats) -> AllowanceRow:
    sharers = _sharers(bill, use, formats)
    owner = use.subscription_code or ("" if sharers else formats.word("shared"))
    used = formats.quantity(use.used_units, use.unit)
    row: AllowanceRow = {
        "name": " · ".join(text for text in (read_text(use.texts, formats.language), owner) if text),
        "small": sharers,
        "text": used,
        "left": formats.word("unlimited"),
        "permille": -1,
    }
    if use.granted_units is not None:
        granted = formats.quantity(use.granted_units, use.unit)
        row["text"] = formats.word("used_of", used=used, granted=granted)
        row["left"] = formats.quantity(max(0, use.granted_units - use.used_units), use.unit)
        row["permille"] = min(1000, use.used_units * 1000 // use.granted_units) if use.granted_units > 0 else 1000
    return row


def _sharers(bill: Bill, use: AllowanceUse, formats: Formats) -> str:
    """Whose a shared allowance is; "" where that goes without saying: on a bill of one account without pools."""
    labels = {account.code: _account_label(account) for account in bill.accounts}
    if use.subscription_code or not use.owner or (use.owner in labels and len(labels) == 1):
        return ""
    return formats.word("shared_by", owner=labels.get(use.owner, use.owner))


def _charges(bill: Bill, formats: Formats) -> Iterator[AccountBlock]:
    """Accounts payer first, in each its subscriptions, in each its lines in the order of the bill."""
    known = [account.billing_account_id for account in bill.accounts]
    others = sorted(_accounts_with_charges(bill) - set(known))
    labels = {account.billing_account_id: _account_label(account) for account in bill.accounts}
    several = len(_accounts_with_charges(bill)) > 1
    for account_id in [*known, *others]:
        lines = [line for line in bill.lines if line.billing_account_id == account_id]
        if lines:
            yield {
                "heading": labels.get(account_id, "") if several else "",
                "blocks": list(_blocks(bill, lines, formats)),
                "subtotal": formats.money(sum(line.net_nanos for line in lines)),
            }


def _blocks(bill: Bill, lines: Sequence[BillLine], formats: Formats) -> Iterator[ChargeBlock]:
    ordered = sorted(lines, key=lambda line: (line.subscription_code, KINDS.index(line.kind), line.line_number))
    for code, group in groupby(ordered, key=lambda line: line.subscription_code):
        block = list(group)
        yield {
            "heading": formats.word("subscription", code=code) if code else formats.word("account_itself"),
            "rows": [_charge_row(bill, line, formats) for line in block],
            "subtotal": formats.money(sum(line.net_nanos for line in block)),
        }


def _charge_row(bill: Bill, line: BillLine, formats: Formats) -> ChargeRow:
    return {
        "text": read_text(line.texts, formats.language) or line.price_code,
        "small": " · ".join(_remarks(bill, line, formats)),
        "quantity": formats.quantity(line.charged_units + line.bucket_units, line.unit) if line.unit else "",
        "amount": formats.money(line.net_nanos),
        "credit": line.net_nanos < 0,
    }


def _remarks(bill: Bill, line: BillLine, formats: Formats) -> Iterator[str]:
    """What stands small beneath a charge. A period is said where it is not simply that of the bill."""
    if line.kind is ChargeKind.ONE_TIME:
        yield formats.short_day(line.period_from_ms)
    elif _has_own_period(bill, line):
        yield formats.span(line.period_from_ms, line.period_until_ms)
    if line.in_advance and line.period_from_ms >= bill.cycle_until_ms:
        yield formats.word("billed_in_advance")
    if line.kind is ChargeKind.USAGE and line.event_count:
        one = line.event_count == 1
        yield formats.word("event") if one else formats.word("events", count=formats.count(line.event_count))
    if line.bucket_units and line.unit:
        yield formats.word("included_quantity", quantity=formats.quantity(line.bucket_units, line.unit))
    yield from why(line, formats)


def _has_own_period(bill: Bill, line: BillLine) -> bool:
    own = (line.period_from_ms, line.period_until_ms)
    return line.kind is not ChargeKind.USAGE and own[1] > own[0] and own != (bill.cycle_from_ms, bill.cycle_until_ms)


def _details(bill: Bill, details: Sequence[UsageDetail], formats: Formats) -> Iterator[DetailBlock]:
    """Itemised usage, a block for each subscription, in the order it happened."""
    ordered = sorted(details, key=lambda detail: (detail.subscription_code, detail.occurred_at_ms))
    for code, group in groupby(ordered, key=lambda detail: detail.subscription_code):
        block = list(group)
        decimals = formats.decimals_for(detail.amount_nanos for detail in block)
        yield {
            "heading": formats.word("subscription", code=code),
            "rows": [_detail_row(bill, detail, decimals=decimals, formats=formats) for detail in block],
            "total": formats.money(sum(detail.amount_nanos for detail in block), decimals=decimals),
            "count": formats.word("record_count", count=formats.count(len(block))),
        }


def _detail_row(bill: Bill, detail: UsageDetail, *, decimals: int, formats: Formats) -> tuple[str, ...]:
    return (
        formats.short_day(detail.occurred_at_ms),
        formats.clock(detail.occurred_at_ms),
        service_name(bill, detail.service, formats),
        detail.other_party,
        code_name(bill, detail.zone, formats),
        formats.quantity(detail.quantity_units, detail.unit),
        formats.quantity(detail.bucket_units, detail.unit) if detail.bucket_units else "",
        formats.money(detail.amount_nanos, decimals=decimals),
    )


def service_name(bill: Bill, service: str, formats: Formats) -> str:
    """As the catalogue calls it, else as every operator does, else its code."""
    if service in bill.names:
        return read_text(bill.names[service], formats.language)
    return WORDS[formats.language].get(f"service_{service}", service)


def code_name(bill: Bill, code: str, formats: Formats) -> str:
    return read_text(bill.names[code], formats.language) if code in bill.names else code
