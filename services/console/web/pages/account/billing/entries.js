/**
 * What came into the wallet and was taken from it, beside the charges of requests.
 */
import { html, useState } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { known, t } from "../../../core/words.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Money, Time } from "../../../parts/time.js";

const SHOWN = 20;
const JOB = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @param {{account: string, load: ReturnType<import("../../../core/load.js").useLoad>}} props */
export function Entries({ account, load }) {
  const [shown, setShown] = useState(SHOWN);
  const more = { has: load.data?.length > shown, loading: false, load: () => setShown(shown * 2) };
  return html`<${Card} title=${t("billing.entries")} text=${t("billing.entries_text")} flush>
    <${Table}
      label=${t("billing.entries")}
      columns=${columns(account)}
      rows=${load.data?.slice(0, shown)}
      rowKey=${(line) => `${line.kind}/${line.reference}/${line.occurred_at}`}
      more=${more}
      error=${load.error}
      retry=${load.reload}
      empty=${html`<${Empty} icon="wallet" title=${t("billing.no_entries")}>${t("billing.no_entries_text")}</${Empty}>`}
    />
  </${Card}>`;
}

const columns = (account) => [
  { key: "time", label: t("common.time"), cell: ({ occurred_at: at }) => html`<${Time} at=${at} exact />` },
  { key: "kind", label: t("billing.kind"), narrow: "title", cell: ({ kind }) => (known(`billing.kind.${kind}`) ? t(`billing.kind.${kind}`) : kind) },
  {
    key: "reference",
    label: t("billing.reference"),
    cell: ({ reference, corrects }) => html`<code>${reference}</code>${corrects && html`<span class="cell-note">${t("billing.corrects")} <${Corrected} account=${account} what=${corrects} /></span>`}`,
  },
  { key: "amount", label: t("billing.amount"), align: "end", cell: ({ amount_nano: nano }) => html`<span class=${Number(nano) < 0 ? "bad" : "good"}><${Money} nano=${nano} sign /></span>` },
];

/** A request has a place to look at it; a reference has none. */
function Corrected({ account, what }) {
  if (!JOB.test(what)) return html`<code>${what}</code>`;
  return html`<a href=${`${to`/a/${account}/usage`}?request=${what}`}><code>${what}</code></a>`;
}
