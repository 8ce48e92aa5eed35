/**
 * Invoices, one per month.
 */
import { at, url } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { language, locale, t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Money } from "../../../parts/time.js";

/** @param {string} month `2030-01` */
export const monthName = (month) => new Date(`${month}-01T00:00Z`).toLocaleDateString(locale(), { year: "numeric", month: "long", timeZone: "UTC" });

/** @param {{account: string, load: ReturnType<import("../../../core/load.js").useLoad>}} props */
export function Invoices({ account, load }) {
  const amount = (key, label) => ({ key, label, align: "end", cell: (invoice) => html`<${Money} nano=${invoice[key]} />` });
  const columns = [
    {
      key: "month",
      label: t("billing.month"),
      narrow: "title",
      cell: ({ month, number, final }) => html`<span class="cell-title">${monthName(month)}</span> ${!final && html`<${Badge} tone="info">${t("billing.preliminary")}</${Badge}>`}<span class="cell-note">${number}</span>`,
    },
    amount("opening_nano", t("billing.opening")),
    amount("credited_nano", t("billing.credited")),
    amount("charged_nano", t("billing.charged")),
    amount("refunded_nano", t("billing.refunded")),
    amount("closing_nano", t("billing.closing")),
    {
      key: "file",
      label: t("billing.file"),
      align: "end",
      cell: ({ month, number }) =>
        html`<${Button} small icon="download" download=${`invoice-${number}.pdf`} aria-label=${t("billing.download", { month: monthName(month) })} href=${url(at`accounts/${account}/invoices/${month}`, { language: language() })}>PDF</${Button}>`,
    },
  ];
  return html`<${Card} title=${t("billing.invoices")} text=${t("billing.invoices_text")} flush>
    <${Table}
      label=${t("billing.invoices")}
      columns=${columns}
      rows=${load.data}
      rowKey=${({ month }) => month}
      error=${load.error}
      retry=${load.reload}
      empty=${html`<${Empty} icon="file" title=${t("billing.no_invoices")}>${t("billing.no_invoices_text")}</${Empty}>`}
    />
  </${Card}>`;
}
