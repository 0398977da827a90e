"""HTML: one file that needs nothing else. No scripts, every text escaped, readable by eye, ear and printer."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path

from millicent.billing.documents.brand import brand_colors
from millicent.billing.documents.charts import Chart
from millicent.billing.documents.content import (
    DETAIL_COLUMNS,
    AccountBlock,
    AllowanceRow,
    Amount,
    BillContent,
    ChargeRow,
    DetailBlock,
)
from millicent.billing.documents.logo import MEDIA_TYPES, Logo

_CSS = Path(__file__).parent / "template" / "bill.css"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_NUMERIC_DETAILS = ("quantity", "included", "amount")


def write_html(content: BillContent, *, color: str, logo: Logo | None) -> str:
    """The whole document. A strict content policy stands in it: even an escaping fault could not run anything."""
    page = "".join(
        (
            f'<!DOCTYPE html>\n<html lang="{escape(content["language"])}">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(content['title'])}</title>\n<style>\n{_style(color)}</style>\n</head>\n<body>\n<main>\n",
            *_head(content, logo),
            *_total(content),
            *_summaries(content),
            *_charts(content),
            *_allowances(content),
            *_charges(content),
            *_details(content),
            f"<footer>{escape(content['legal'])}</footer>\n</main>\n</body>\n</html>\n",
        )
    )
    return page.encode("utf-8", "replace").decode()  # half characters (lone surrogates) become question marks


@lru_cache(maxsize=64)
def _style(color: str) -> str:
    shades = brand_colors(color)
    return f":root {{ --fill: {shades.fill}; --ink: {shades.ink}; --tint: {shades.tint}; }}\n{_CSS.read_text('utf-8')}"


def _lines(texts: Iterable[str]) -> str:
    return "<br>".join(escape(text) for text in texts if text)


def _number(text: str, *, credit: bool = False) -> str:
    return f'<td class="number{" credit" if credit else ""}">{escape(text)}</td>'


def _small(text: str) -> str:
    return f'<span class="small">{escape(text)}</span>' if text else ""


def _header_row(texts: Sequence[str], *, numeric: Sequence[bool]) -> str:
    cells = (
        f'<th scope="col"{" class=number" if right else ""}>{escape(text)}</th>'
        for text, right in zip(texts, numeric, strict=True)
    )
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _head(content: BillContent, logo: Logo | None) -> Iterator[str]:
    operator = content["operator"]["name"]
    if logo is None:
        mark = f'<div class="brand">{escape(operator)}</div>'
    else:
        source = f"data:{MEDIA_TYPES[logo.kind]};base64,{b64encode(logo.content).decode()}"
        mark = f'<img src="{source}" alt="{escape(operator)}">'
    yield f'<header>{mark}<address class="contact">{_lines(content["contact"])}</address></header>\n'
    if content["notice"]:
        yield f'<p class="notice" role="note">{escape(content["notice"])}</p>\n'
    customer, words = content["customer"], content["words"]
    yield f'<div class="meet"><div><span class="small">{escape(words["bill_for"])}</span>'
    yield f"<address><b>{escape(customer['name'])}</b><br>{_lines(customer['lines'])}</address></div>"
    yield f"<div><h1>{escape(content['kind'])}</h1><dl>"
    for fact in content["facts"]:
        yield f"<dt>{escape(fact['label'])}</dt><dd>{escape(fact['amount'])}</dd>"
    yield "</dl></div></div>\n"


def _total(content: BillContent) -> Iterator[str]:
    yield f'<section class="total"><div><p class="label">{escape(content["total_label"])}</p>'
    yield f'<strong class="sum">{escape(content["total"])}</strong>'
    if content["due"]:
        yield f"<p>{escape(content['due_label'])} <b>{escape(content['due'])}</b></p>"
    yield "</div>"
    if content["payment"]:
        yield f'<div><p class="label"><b>{escape(content["words"]["how_to_pay"])}</b></p>'
        yield f"<p>{_lines(content['payment'])}</p></div>"
    yield "</section>\n"


def _amount_row(row: Amount) -> str:
    return f"<tr><td>{escape(row['label'])}</td>{_number(row['amount'], credit=row['credit'])}</tr>"


def _sum_row(label: str, amount: str, *, kind: str) -> str:
    return f'<tr class="{kind}"><td>{escape(label)}</td>{_number(amount)}</tr>'


def _summaries(content: BillContent) -> Iterator[str]:
    words = content["words"]
    head = _header_row((words["charge"], words["amount"]), numeric=(False, True))
    if content["accounts"]:
        yield f"<h2>{escape(words['accounts_on_this_bill'])}</h2><table>{head}<tbody>"
        yield from (_amount_row(row) for row in content["accounts"])
        yield _sum_row(words["total_before_tax"], content["net"], kind="sum") + "</tbody></table>\n"
    yield f"<h2>{escape(words['summary'])}</h2><table>{head}<tbody>"
    yield from (_amount_row(row) for row in content["summary"])
    yield _sum_row(words["total_before_tax"], content["net"], kind="line")
    yield _sum_row(words["total_tax"], content["tax"], kind="")
    yield _sum_row(words["total"], content["total_words"], kind="sum") + "</tbody></table>\n"
    if content["taxes"]:
        yield from _taxes(content)


def _taxes(content: BillContent) -> Iterator[str]:
    words = content["words"]
    titles = (words["tax"], words["tax_rate"], words["tax_base"], words["tax_amount"])
    yield f"<h2>{escape(words['taxes'])}</h2><table>{_header_row(titles, numeric=(False, True, True, True))}<tbody>"
    for tax in content["taxes"]:
        numbers = "".join(_number(text) for text in (tax["rate"], tax["base"], tax["amount"]))
        yield f"<tr><td>{escape(tax['name'])}</td>{numbers}</tr>"
    yield "</tbody></table>\n"
    yield from (f'<p class="small">{escape(note)}</p>' for note in content["tax_notes"])


def _charts(content: BillContent) -> Iterator[str]:
    if not content["charts"]:
        return
    yield f'<h2>{escape(content["words"]["your_usage"])}</h2><div class="charts">'
    for chart in content["charts"]:
        drawn = _lying(chart) if chart["lying"] else _standing(chart)
        note = f"<span>{escape(chart['note'])}</span>" if chart["note"] else ""
        yield f"<figure><figcaption><span>{escape(chart['title'])}</span>{note}</figcaption>{drawn}</figure>"
    yield "</div>\n"


def _standing(chart: Chart) -> str:
    """Bars as SVG in whole units of a 400 by 96 field, and their alternative as its name."""
    bars = chart["bars"]
    step, every = 400 // len(bars), -(-len(bars) // 8)
    drawn = []
    for place, bar in enumerate(bars):
        tall = bar["permille"] * 80 // 1000
        shade = "earlier" if chart["last"] and place < len(bars) - 1 else "bar"
        drawn.append(
            f'<rect class="{shade}" x="{place * step}" y="{80 - tall}" width="{step * 4 // 5}" height="{tall}" rx="1">'
            f"<title>{escape(bar['label'])}: {escape(bar['text'])}</title></rect>"
        )
        if (len(bars) - 1 - place) % every == 0:
            middle = place * step + step * 2 // 5
            drawn.append(f'<text class="axis" x="{middle}" y="92" text-anchor="middle">{escape(bar["label"])}</text>')
    return (
        f'<svg viewBox="0 0 {len(bars) * step} 96" role="img" aria-label="{escape(chart["alternative"])}">'
        f'{"".join(drawn)}<path d="M0 80.5H{len(bars) * step}" stroke="#5c6670"/></svg>'
    )


def _lying(chart: Chart) -> str:
    rows = (
        f'<tr><td>{escape(bar["label"])}</td><td><span class="meter"><span style="width:{bar["permille"] // 10}%">'
        f"</span></span></td>{_number(bar['text'])}</tr>"
        for bar in chart["bars"]
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _allowances(content: BillContent) -> Iterator[str]:
    if not content["allowances"]:
        return
    words = content["words"]
    head = _header_row((words["allowance"], "", words["used"], words["left"]), numeric=(False, False, True, True))
    head = head.replace('<th scope="col"></th>', "<td></td>")  # the meters need no title
    yield f"<h2>{escape(words['allowances'])}</h2><table>{head}<tbody>"
    yield from (_allowance_row(row) for row in content["allowances"])
    yield "</tbody></table>\n"


def _allowance_row(row: AllowanceRow) -> str:
    meter = f'<span class="meter"><span style="width:{row["permille"] // 10}%"></span></span>'
    shown = meter if row["permille"] >= 0 else ""
    name = escape(row["name"]) + _small(row["small"])
    return f"<tr><td>{name}</td><td>{shown}</td>{_number(row['text'])}{_number(row['left'])}</tr>"


def _charges(content: BillContent) -> Iterator[str]:
    words = content["words"]
    if content["charges"]:
        yield f"<h2>{escape(words['charges'])}</h2>"
    head = _header_row((words["charge"], words["quantity"], words["amount"]), numeric=(False, True, True))
    for account in content["charges"]:
        yield from _account(account, head=head, words=words)


def _account(account: AccountBlock, *, head: str, words: dict[str, str]) -> Iterator[str]:
    if account["heading"]:
        yield f"<h3>{escape(account['heading'])}</h3>"
    yield f"<table>{head}"
    for block in account["blocks"]:
        yield f'<tbody><tr class="head"><th scope="rowgroup" colspan="2">{escape(block["heading"])}</th>'
        yield _number(block["subtotal"]) + "</tr>"
        yield from (_charge_row(row) for row in block["rows"])
        yield "</tbody>"
    yield f'<tbody><tr class="sum"><td colspan="2">{escape(words["total_before_tax"])}</td>'
    yield _number(account["subtotal"]) + "</tr></tbody></table>\n"


def _charge_row(row: ChargeRow) -> str:
    numbers = _number(row["quantity"]) + _number(row["amount"], credit=row["credit"])
    return f"<tr><td>{escape(row['text'])}{_small(row['small'])}</td>{numbers}</tr>"


def _details(content: BillContent) -> Iterator[str]:
    words = content["words"]
    if content["details"]:
        yield f"<h2>{escape(words['details'])}</h2>"
    titles = [words[column] for column in DETAIL_COLUMNS]
    head = _header_row(titles, numeric=[column in _NUMERIC_DETAILS for column in DETAIL_COLUMNS])
    for block in content["details"]:
        yield from _detail_block(block, head=head)


def _detail_block(block: DetailBlock, *, head: str) -> Iterator[str]:
    yield f'<h3>{escape(block["heading"])}</h3><div class="scroll"><table class="details">{head}<tbody>'
    for row in block["rows"]:
        words = "".join(f"<td>{escape(text)}</td>" for text in row[:-3])
        yield f"<tr>{words}{''.join(_number(text) for text in row[-3:])}</tr>"
    yield f'<tr class="sum"><td colspan="7">{escape(block["count"])}</td>{_number(block["total"])}</tr>'
    yield "</tbody></table></div>\n"
