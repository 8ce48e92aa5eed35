"""An invoice as a PDF. Takes some milliseconds a page of processor time, so its caller runs it in a thread.

Text that Helvetica cannot write is set in STSong-Light, a font that every reader of PDF brings along for Chinese: no
font file is needed.
"""

import io
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from trunkline.core.money import usd_text
from trunkline.policy.invoice_words import WORDS, InvoiceWords
from trunkline.policy.invoices import Invoice

LATIN: Final = "Helvetica"
LATIN_BOLD: Final = "Helvetica-Bold"
CHINESE: Final = "STSong-Light"

MARGIN: Final = 18 * mm
_PADDING: Final = 6
"""Of the frame in which reportlab sets a page."""

_WIDTH: Final = A4[0] - 2 * (MARGIN + _PADDING)
_GREY: Final = colors.HexColor("#5b6470")
_RULE: Final = colors.HexColor("#c9ced6")

_BODY: Final = ParagraphStyle("body", fontName=LATIN, fontSize=9, leading=12.5)
_BOLD: Final = ParagraphStyle("bold", _BODY, fontName=LATIN_BOLD)
_SMALL: Final = ParagraphStyle("small", _BODY, fontSize=8, leading=11, textColor=_GREY)
_RIGHT: Final = ParagraphStyle("right", _BODY, alignment=TA_RIGHT)
_RIGHT_BOLD: Final = ParagraphStyle("right-bold", _BOLD, alignment=TA_RIGHT)
_HEADING: Final = ParagraphStyle("heading", _BOLD, fontSize=11, leading=15, spaceBefore=14, spaceAfter=4)
_TITLE: Final = ParagraphStyle("title", _BOLD, fontSize=20, leading=26)

_GRID: Final = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, _RULE),
        ("LINEABOVE", (0, -1), (-1, -1), 0.8, _RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
)


def invoice_pdf(invoice: Invoice, issuer: str, language: str) -> bytes:
    """Return an invoice as a PDF.

    Args:
        invoice: see there.
        issuer: who writes it, of some lines; may be empty.
        language: one of `policy.invoice_words.WORDS`.
    """
    if CHINESE not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    words = WORDS[language]
    title = words.title if invoice.final else words.preliminary
    parts: list[Flowable] = [
        *_head(invoice, issuer, title, words),
        _text(words.usage, _HEADING),
        _usage(invoice, words),
        _text(words.movements, _HEADING),
        _movements(invoice, words),
        _text(words.summary, _HEADING),
        _summary(invoice, words),
        Spacer(0, 10),
        _text(words.note, _SMALL),
    ]
    if not invoice.final:
        parts.append(_text(words.preliminary_note, _SMALL))
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
        title=f"{title} {invoice.number}",
        author=issuer.partition("\n")[0],
        lang=language,
        # The same invoice is the same file, whenever it is made.
        invariant=1,
    )
    document.build(parts, canvasmaker=_numbered(words))
    return written.getvalue()


def _head(invoice: Invoice, issuer: str, title: str, words: InvoiceWords) -> list[Flowable]:
    facts = [
        (words.number, invoice.number),
        (words.month, f"{invoice.month:%Y-%m}"),
        (words.as_of, f"{invoice.as_of:%Y-%m-%d %H:%M} UTC"),
        (words.account, invoice.account),
    ]
    if invoice.final:
        # Of what is final it does not matter when it was written down.
        del facts[2]
    table = Table(
        [[_text(label, _SMALL), _text(value, _BODY)] for label, value in facts],
        colWidths=[22 * mm, _WIDTH / 2 - 22 * mm],
        style=[("LEFTPADDING", (0, 0), (-1, -1), 0), ("TOPPADDING", (0, 0), (-1, -1), 1)],
    )
    billed = [_text(words.billed_to, _SMALL), _text(invoice.billing.address or invoice.account, _BODY)]
    if invoice.billing.tax:
        billed.append(_text(invoice.billing.tax, _BODY))
    layout = Table(
        [[table, billed]],
        colWidths=[_WIDTH / 2, _WIDTH / 2],
        style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)],
    )
    from_whom = [_text(issuer, _SMALL), Spacer(0, 6)] if issuer else []
    return [*from_whom, _text(title, _TITLE), Spacer(0, 8), layout]


def _usage(invoice: Invoice, words: InvoiceWords) -> Flowable:
    rows = [[words.model, words.requests, words.units, words.amount]]
    rows += [
        [
            line.model or words.other_models,
            f"{line.requests:,}",
            words.separator.join(
                f"{name} {line.units[kind]:,}" for kind, name in words.unit_kinds.items() if line.units.get(kind)
            ),
            usd_text(line.amount_nano),
        ]
        for line in invoice.lines
    ]
    if invoice.across_months_nano:
        rows.append([words.across_months, "", "", usd_text(invoice.across_months_nano)])
    rows.append([words.charges, "", "", usd_text(invoice.charged_nano)])
    return _table(rows, (0.30, 0.12, 0.36, 0.22), right=frozenset({1, 3}))


def _movements(invoice: Invoice, words: InvoiceWords) -> Flowable:
    rows = [[words.date, words.kind, words.reference, words.amount]]
    rows += [
        [
            "" if entry.at is None else f"{entry.at:%Y-%m-%d}",
            words.kinds.get(entry.kind, entry.kind),
            entry.reference if entry.at is not None else words.other_entries,
            usd_text(entry.amount_nano),
        ]
        for entry in invoice.entries
    ]
    if invoice.refunds:
        rows.append(["", words.refunds.format(count=invoice.refunds), "", usd_text(invoice.refunded_nano)])
    if len(rows) == 1:
        return _text(words.nothing, _BODY)
    rows.append([words.total, "", "", usd_text(invoice.entries_nano + invoice.refunded_nano)])
    return _table(rows, (0.22, 0.24, 0.32, 0.22), right=frozenset({3}))


def _summary(invoice: Invoice, words: InvoiceWords) -> Flowable:
    rows = [
        [words.opening, usd_text(invoice.opening_nano)],
        [words.charged, usd_text(-invoice.charged_nano)],
        [words.refunded, usd_text(invoice.refunded_nano)],
        [words.credited, usd_text(invoice.entries_nano)],
        [words.closing, usd_text(invoice.closing_nano)],
    ]
    return _table([["", words.amount], *rows], (0.78, 0.22), right=frozenset({1}))


def _table(rows: list[list[str]], shares: tuple[float, ...], *, right: frozenset[int]) -> Table:
    """Return a table whose first row is its heading and whose last one its sum."""
    cells = []
    for number, row in enumerate(rows):
        bold = number in {0, len(rows) - 1}
        styles = (_RIGHT_BOLD, _BOLD) if bold else (_RIGHT, _BODY)
        cells.append([_text(cell, styles[0] if column in right else styles[1]) for column, cell in enumerate(row)])
    return Table(cells, colWidths=[share * _WIDTH for share in shares], style=_GRID, repeatRows=1)


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    """Return a paragraph of plain text: what people have typed is no markup."""
    if _is_latin(text):
        return Paragraph(_markup(text), style)
    # Beyond the basic plane the font has nothing.
    shown = "".join(letter if ord(letter) < 0x10000 else "?" for letter in text)
    return Paragraph(_markup(shown), ParagraphStyle(f"{style.name}-chinese", style, fontName=CHINESE, wordWrap="CJK"))


def _markup(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def _is_latin(text: str) -> bool:
    """Return whether Helvetica can write a text."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _numbered(words: InvoiceWords) -> type[Canvas]:
    """Return a canvas that writes on each page which of how many it is, which is known at the end."""

    class NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                text = words.page.format(number=number, total=len(self._pages))
                self.setFont(LATIN if _is_latin(text) else CHINESE, 8)
                self.setFillColor(_GREY)
                self.drawRightString(A4[0] - MARGIN, MARGIN / 2, text)
                super().showPage()
            super().save()

    return NumberedCanvas
