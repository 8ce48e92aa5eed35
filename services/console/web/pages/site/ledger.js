/**
 * The ledger as a whole: what its books hold, whether all of it agrees, and what never came into it.
 */
import { api } from "../../core/api.js";
import { money, percent, size } from "../../core/format.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { to } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { known, t } from "../../core/words.js";
import { Empty, ErrorNotice } from "../../parts/notice.js";
import { Card, PageHeader, Stat, Stats } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Money, Time } from "../../parts/time.js";
import { Checks } from "./ledger/checks.js";

await loadStyle("styles/site.css");

export default function Ledger() {
  const books = useLoad((signal) => api.get("ledger/books", {}, { signal }), []);
  const refused = useLoad((signal) => api.get("ledger/refused", {}, { signal }), []);
  return html`
    <${PageHeader} title=${t("nav.ledger")} text=${t("ledger.text")} />
    ${books.error && !books.data ? html`<${ErrorNotice} error=${books.error} retry=${books.reload} />` : html`<${Kinds} kinds=${books.data?.kinds} />`}
    <${Checks} onRebuilt=${books.reload} />
    <${Card} title=${t("ledger.channels")} text=${t("ledger.channels_text")} flush>
      <${Table}
        label=${t("ledger.channels")}
        columns=${channelColumns()}
        rows=${books.data?.channels}
        rowKey=${(row) => row.channel}
        order=${{ key: "revenue", down: true }}
        error=${books.error}
        empty=${html`<${Empty} icon="channel" title=${t("ledger.no_channels")}>${t("ledger.no_channels_text")}</${Empty}>`}
      />
    </${Card}>
    <${Card} title=${t("ledger.refused")} text=${t("ledger.refused_text")} flush>
      <${Table}
        label=${t("ledger.refused")}
        columns=${refusedColumns()}
        rows=${refused.data}
        rowKey=${(row) => row.id}
        error=${refused.error}
        retry=${refused.reload}
        empty=${html`<${Empty} icon="check" title=${t("ledger.none_refused")}>${t("ledger.none_refused_text")}</${Empty}>`}
      />
    </${Card}>
  `;
}

const SIDES = { wallet: 1n, revenue: 1n, cost_of_sales: -1n, payable: 1n, grants: -1n, payments: -1n };

/** Each kind with the sign that people give it: what was granted and paid in are no debts. */
function Kinds({ kinds }) {
  if (kinds && kinds.length === 0) return null;
  const shown = kinds ?? Object.keys(SIDES).map((kind) => ({ kind }));
  return html`<${Stats}>
    ${shown.map(({ kind, balance_nano: nano, below_zero: below }) => {
      const label = known(`ledger.kind.${kind}`) ? t(`ledger.kind.${kind}`) : kind;
      const value = nano === undefined ? undefined : html`<${Money} nano=${BigInt(nano) * (SIDES[kind] ?? 1n)} />`;
      const note = kind === "wallet" && below > 0 ? t("ledger.below_zero", { count: below }) : null;
      return html`<${Stat} key=${kind} label=${label} value=${value} note=${note} help=${known(`ledger.kind_text.${kind}`) ? t(`ledger.kind_text.${kind}`) : undefined} />`;
    })}
  </${Stats}>`;
}

const margin = ({ revenue_nano: revenue, cost_nano: cost }) => BigInt(revenue) - BigInt(cost);

const share = (row) => (Number(row.revenue_nano) > 0 ? Number(margin(row)) / Number(row.revenue_nano) : null);

const channelColumns = () => [
  {
    key: "channel",
    label: t("nav.channel"),
    narrow: "title",
    sort: (row) => row.channel,
    cell: (row) => (row.channel.startsWith("#") ? html`<span class="quiet">${t("ledger.gone", { id: row.channel })}</span>` : html`<a class="cell-title" href=${to`/site/channels/${row.channel}`}>${row.channel}</a>`),
  },
  { key: "revenue", label: t("ledger.revenue"), align: "end", sort: (row) => BigInt(row.revenue_nano), cell: (row) => html`<${Money} nano=${row.revenue_nano} />` },
  { key: "cost", label: t("ledger.cost"), align: "end", sort: (row) => BigInt(row.cost_nano), cell: (row) => html`<${Money} nano=${row.cost_nano} />` },
  {
    key: "margin",
    label: t("ledger.margin"),
    align: "end",
    sort: margin,
    cell: (row) => html`<span class=${margin(row) < 0n ? "bad" : ""} title=${money(margin(row), { exact: true })}>${money(margin(row))}</span>`,
  },
  { key: "share", label: t("ledger.share"), align: "end", sort: share, cell: (row) => percent(share(row)) },
];

const refusedColumns = () => [
  { key: "at", label: t("common.time"), cell: (row) => html`<${Time} at=${row.refused_at} />` },
  { key: "what", label: t("ledger.what"), narrow: "title", cell: (row) => (row.subject ? html`${t("ledger.message")} <code>${row.subject}</code>` : t("ledger.event")) },
  { key: "reason", label: t("ledger.reason"), cell: (row) => row.reason },
  { key: "bytes", label: t("ledger.bytes"), align: "end", cell: (row) => size(row.bytes) },
];
