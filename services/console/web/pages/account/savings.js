/**
 * What a month's usage would have cost on other models, and where the account could pay less.
 */
import { api, at } from "../../core/api.js";
import { money } from "../../core/format.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useQuery } from "../../core/router.js";
import { useScope } from "../../core/session.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { ErrorNotice } from "../../parts/notice.js";
import { PageHeader, Stat, Stats } from "../../parts/page.js";
import { Choice } from "../../parts/search.js";
import { monthName } from "./billing/invoices.js";
import { Comparison } from "./savings/comparison.js";
import { Hints } from "./savings/hints.js";

await loadStyle("styles/usage.css");

const MONTHS = 12;

/** The last months, the present one first, as `2030-01`. */
function months() {
  const now = new Date();
  return Array.from({ length: MONTHS }, (_, ago) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - ago, 1)).toISOString().slice(0, 7));
}



export default function Savings({ params: { account } }) {
  const path = at`accounts/${account}`;
  const all = months();
  const [month, setMonth] = useQuery("month", all[0]);
  const whole = useScope("usage_read", account) === "all";
  const seesMoney = useScope("money_read", account);
  const comparison = useLoad((signal) => api.get(`${path}/prices/compare`, { month }, { signal }), [path, month]);
  const hints = useLoad(async (signal) => (seesMoney ? api.get(`${path}/savings`, { month }, { signal }) : null), [path, month, seesMoney]);
  const choice = html`<${Choice} label=${t("savings.month")} value=${month} options=${all.map((value) => ({ value, label: monthName(value) }))} onChange=${setMonth} />`;
  const data = comparison.data;
  const best = data?.models[0];
  const saved = hints.data && [...hints.data.cheaper.map((hint) => BigInt(hint.paid_nano) - BigInt(hint.cost_nano)), ...hints.data.caching.map((hint) => BigInt(hint.saved_at_most_nano))];
  return html`
    <${PageHeader} title=${t("nav.savings")} text=${t(whole ? "savings.text" : "savings.text_own")} actions=${choice} />
    <${ErrorNotice} error=${comparison.error} retry=${comparison.reload} />
    <${Stats}>
      <${Stat} label=${t("savings.paid")} value=${comparison.error ? "–" : data && money(data.paid_nano)} />
      <${Stat} label=${t("savings.cheapest")} value=${comparison.error ? "–" : data && (best ? money(best.cost_nano) : "–")} note=${best?.model} />
      ${seesMoney && html`<${Stat} label=${t("savings.possible")} help=${t("savings.possible_help")} value=${hints.error ? "–" : saved && money(saved.reduce((most, each) => (each > most ? each : most), 0n))} />`}
    </${Stats}>
    ${seesMoney && html`<${Hints} load=${hints} account=${account} />`}
    <${Comparison} load=${comparison} account=${account} />
  `;
}
