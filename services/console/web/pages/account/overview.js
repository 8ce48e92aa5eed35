/**
 * An account at a glance. Members see what they used themselves, and nothing of the money.
 */
import { api, at } from "../../core/api.js";
import { html, useMemo } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope } from "../../core/session.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { ErrorNotice, Skeleton } from "../../parts/notice.js";
import { Grid, PageHeader } from "../../parts/page.js";
import { UsageChart } from "../usage/chart.js";
import { Figures } from "../usage/figures.js";
import { bounds, SpanChooser, useSpan } from "../usage/span.js";
import { Beginning } from "./overview/beginning.js";
import { Credit } from "./overview/credit.js";
import { Told } from "./overview/told.js";
import { Top } from "./overview/top.js";

await loadStyle("styles/usage.css");
await loadStyle("styles/overview.css");

export default function Overview({ params: { account } }) {
  const scope = useScope("usage_read", account);
  const place = useLoad((signal) => api.get(at`accounts/${account}/place`, {}, { signal }), [account]);
  const timeZone = place.data?.time_zone;
  const chosen = useSpan();
  const actions = timeZone && html`<${SpanChooser} chosen=${chosen} timeZone=${timeZone} />`;
  return html`
    <${PageHeader} title=${t("nav.overview")} text=${t(scope === "own" ? "overview.text_own" : "overview.text", { account })} actions=${actions} />
    ${place.error && html`<${ErrorNotice} error=${place.error} retry=${place.reload} />`}
    ${timeZone ? html`<${Content} account=${account} timeZone=${timeZone} chosen=${chosen} />` : !place.error && html`<${Skeleton} lines=${8} />`}
  `;
}

function Content({ account, timeZone, chosen }) {
  const base = at`accounts/${account}/usage`;
  const span = useMemo(() => bounds(chosen, timeZone), [chosen, timeZone]);
  const overview = useLoad((signal) => api.get(`${base}/overview`, span, { signal }), [base, span]);
  const seesMoney = useScope("money_read", account);
  const unused = overview.data && !overview.data.totals.attempts && !overview.data.previous.attempts;
  return html`
    ${unused && html`<${Beginning} account=${account} />`}
    ${!unused && html`<${Figures} load=${overview} />`}
    ${seesMoney && html`<${Credit} account=${account} />`}
    ${!unused &&
    html`<${UsageChart} load=${overview} />
      <${Grid}>
        <${Top} account=${account} base=${base} by="model" span=${span} chosen=${chosen} />
        <${Top} account=${account} base=${base} by="key" span=${span} chosen=${chosen} />
      </${Grid}>`}
    <${Told} />
  `;
}
