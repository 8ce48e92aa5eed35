/**
 * What the owners were told, and whether it arrived.
 */
import { html } from "../../../core/html.js";
import { known, t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { budgetName } from "../../../parts/budgets.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";

const STATES = { delivered: ["good", "delivered"], "given up": ["bad", "given_up"], waiting: ["info", "waiting"] };

function said({ kind, payload }) {
  if (!known(`alerts.said.${kind}`)) return kind;
  const budget = kind === "budget" ? budgetName({ ...payload, period: payload.budget }) : "";
  return t(`alerts.said.${kind}`, { budget, percent: payload.percent ?? "", balance: payload.balance_usd ?? "", below: payload.below_usd ?? "", spent: payload.spent_usd ?? "", limit: payload.limit_usd ?? "" });
}

/** @param {{load: ReturnType<import("../../../core/load.js").useLoad>}} props of alerts */
export function History({ load }) {
  const columns = [
    { key: "time", label: t("common.time"), sort: (alert) => alert.id, cell: (alert) => html`<${Time} at=${alert.created_at} exact />` },
    { key: "what", label: t("alerts.what"), narrow: "title", cell: said },
    { key: "deliveries", label: t("alerts.deliveries"), cell: (alert) => html`<${Deliveries} deliveries=${alert.deliveries} />` },
  ];
  return html`<${Card} title=${t("alerts.history")} text=${t("alerts.history_text")} flush>
    <${Table}
      label=${t("alerts.history")}
      columns=${columns}
      rows=${load.data}
      rowKey=${(alert) => alert.id}
      error=${load.error}
      retry=${load.reload}
      empty=${html`<${Empty} icon="bell" title=${t("alerts.none")}>${t("alerts.none_text")}</${Empty}>`}
    />
  </${Card}>`;
}

function Deliveries({ deliveries }) {
  if (!deliveries.length) return html`<span class="quiet">${t("alerts.to_nobody")}</span>`;
  return html`<ul class="deliveries">
    ${deliveries.map((way, at) => {
      const [tone, state] = STATES[way.state] ?? ["neutral", "waiting"];
      return html`<li key=${at}><${Badge} tone=${tone}>${t(`alerts.state.${state}`)}</${Badge}> <span>${way.target}</span>
        ${way.error && html`<span class="cell-note">${t("alerts.tries", { count: way.attempts })} ${way.error}</span>`}</li>`;
    })}
  </ul>`;
}
