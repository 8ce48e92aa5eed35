/**
 * What is in the wallet, and how far the budgets are used up.
 */
import { api, at } from "../../../core/api.js";
import { money } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { BudgetList } from "../../../parts/budgets.js";
import { Loaded } from "../../../parts/notice.js";
import { Card, Grid } from "../../../parts/page.js";

const SHOWN_MAX = 4;

/** @param {{account: string}} props */
export function Credit({ account }) {
  const path = at`accounts/${account}`;
  const shown = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const spending = useLoad((signal) => api.get(`${path}/spending`, {}, { signal }), [path]);
  return html`<${Grid}>
    <${Card} title=${t("overview.balance")} actions=${html`<a href=${to`/a/${account}/billing`}>${t("overview.to_billing")}</a>`}>
      <${Loaded} of=${shown} lines=${2}>
        ${({ balance_nano: balance }) => html`<p class=${Number(balance) > 0 ? "balance" : "balance bad"}>${money(balance)}</p>
          <p class="quiet">${t(Number(balance) > 0 ? "overview.balance_text" : "overview.balance_empty")}</p>`}
      </${Loaded}>
    </${Card}>
    <${Card} title=${t("overview.budgets")}>
      <${Loaded} of=${spending} lines=${2}>
        ${(budgets) => (budgets.length ? html`<${BudgetList} budgets=${tightest(budgets)} />` : html`<p class="quiet">${t("overview.no_budgets")}</p>`)}
      </${Loaded}>
    </${Card}>
  </${Grid}>`;
}

/** Those of which most is used up. */
function tightest(budgets) {
  const share = ({ spent_nano: spent, limit_nano: limit }) => (Number(limit) ? Number(spent) / Number(limit) : 1);
  return [...budgets].sort((one, other) => share(other) - share(one)).slice(0, SHOWN_MAX);
}
