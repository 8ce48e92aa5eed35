"""The words of invoices, in each language that they are written in. Pure."""

# ruff: noqa: RUF001 - Chinese has punctuation of its own, which looks like ours

from typing import Final

import msgspec

from trunkline.policy.status_words import CHINESE, ENGLISH


class InvoiceWords(msgspec.Struct, frozen=True):
    """All texts of one language.

    Attributes:
        title, preliminary: headings; the latter of a month that can still change.
        number, month, as_of, account, billed_to: labels of the head.
        usage, model, requests, units, amount: headings of what was used.
        other_models: in place of a name.
        across_months: of what began in one month and ended in another.
        charges: the sum of them.
        movements, date, kind, reference: headings of what came and went besides.
        other_entries: in place of a reference.
        total: of what came and went besides.
        refunds: ``count`` is how many.
        kinds: of transfers, by their name in the ledger.
        summary, opening, charged, refunded, credited, closing: the sums.
        unit_kinds: by name, in the order in which they are shown.
        note: at the end.
        preliminary_note: of a month that can still change.
        page: ``number`` and ``total``.
        nothing: in place of an empty list.
        separator: between units.
    """

    title: str
    preliminary: str
    number: str
    month: str
    as_of: str
    account: str
    billed_to: str
    usage: str
    model: str
    requests: str
    units: str
    amount: str
    other_models: str
    across_months: str
    charges: str
    movements: str
    date: str
    kind: str
    reference: str
    other_entries: str
    total: str
    refunds: str
    kinds: dict[str, str]
    summary: str
    opening: str
    charged: str
    refunded: str
    credited: str
    closing: str
    unit_kinds: dict[str, str]
    note: str
    preliminary_note: str
    page: str
    nothing: str
    separator: str


WORDS: Final[dict[str, InvoiceWords]] = {
    ENGLISH: InvoiceWords(
        title="Invoice",
        preliminary="Preliminary statement",
        number="Number",
        month="Month",
        as_of="Made on",
        account="Account",
        billed_to="Billed to",
        usage="Usage",
        model="Model",
        requests="Requests",
        units="Units",
        amount="Amount (USD)",
        other_models="Further models",
        across_months="Requests that began in one month and ended in another",
        charges="Charges",
        movements="Top-ups and corrections",
        date="Date",
        kind="Kind",
        reference="Reference",
        other_entries="Further entries",
        total="Total",
        refunds="Refunds of requests ({count})",
        kinds={
            "payment": "Payment",
            "grant": "Credit granted",
            "redemption": "Code redeemed",
            "trial": "Free trial",
            "expiry": "Free trial ended",
            "adjustment": "Adjustment",
        },
        summary="Balance",
        opening="Balance at the beginning",
        charged="Charges",
        refunded="Refunds",
        credited="Top-ups and corrections",
        closing="Balance at the end",
        unit_kinds={
            "input": "input",
            "cache_read": "cached input",
            "cache_write_5m": "cache writes",
            "cache_write_1h": "cache writes (1 h)",
            "input_audio": "audio input",
            "input_image": "image input",
            "output": "output",
            "reasoning": "reasoning",
            "output_audio": "audio output",
            "output_image": "image output",
            "searches": "searches",
            "seconds": "seconds",
            "images": "images",
            "characters": "characters",
            "requests": "calls",
        },
        note="Charges count in the month (UTC) in which a request ended. All amounts are in US dollars, exact to a "
        "billionth. Charges are paid from the account's balance.",
        preliminary_note="This month can still change. The invoice is final a day after the month has ended.",
        page="Page {number} of {total}",
        nothing="None",
        separator=", ",
    ),
    CHINESE: InvoiceWords(
        title="账单",
        preliminary="临时账单",
        number="编号",
        month="月份",
        as_of="生成时间",
        account="账户",
        billed_to="抬头",
        usage="用量",
        model="模型",
        requests="请求数",
        units="计量",
        amount="金额（美元）",
        other_models="其他模型",
        across_months="跨月完成的请求",
        charges="消费合计",
        movements="充值与调整",
        date="日期",
        kind="类型",
        reference="凭证号",
        other_entries="其他条目",
        total="合计",
        refunds="请求退款（{count} 笔）",
        kinds={
            "payment": "支付",
            "grant": "赠送额度",
            "redemption": "兑换码",
            "trial": "试用额度",
            "expiry": "试用到期",
            "adjustment": "调整",
        },
        summary="余额",
        opening="期初余额",
        charged="消费",
        refunded="退款",
        credited="充值与调整",
        closing="期末余额",
        unit_kinds={
            "input": "输入",
            "cache_read": "缓存输入",
            "cache_write_5m": "缓存写入",
            "cache_write_1h": "缓存写入（1 小时）",
            "input_audio": "音频输入",
            "input_image": "图像输入",
            "output": "输出",
            "reasoning": "推理",
            "output_audio": "音频输出",
            "output_image": "图像输出",
            "searches": "搜索",
            "seconds": "秒",
            "images": "图片",
            "characters": "字符",
            "requests": "调用",
        },
        note="消费计入请求结束时所在的月份（UTC）。所有金额以美元计，精确到十亿分之一。消费从账户余额中扣除。",
        preliminary_note="本月数据仍可能变动，月份结束一天后账单定稿。",
        page="第 {number} 页，共 {total} 页",
        nothing="无",
        separator="，",
    ),
}
