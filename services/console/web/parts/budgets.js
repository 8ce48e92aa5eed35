/**
 * Budgets as bars: how much of them is used up.
 */
import { date, money } from "../core/format.js";
import { html } from "../core/html.js";
import { t } from "../core/words.js";
import { Progress } from "./progress.js";

const NEARLY = 0.8;

/** @param {object} budget of list_spending, or what an alert says of one */
export function budgetName({ holder, name, period, models }) {
  const what = t(`terms.budget.${period}`);
  const whose = holder === "account" ? "" : t(`terms.of_${holder}`, { name });
  return [what, whose, models.join(", ")].filter(Boolean).join(" · ");
}

/** @param {{budgets: object[]}} props of the operation list_spending */
export function BudgetList({ budgets }) {
  return html`<div class="stack">
    ${budgets.map((budget) => {
      const share = Number(budget.limit_nano) ? Number(budget.spent_nano) / Number(budget.limit_nano) : 1;
      const full = budget.refuses || share >= 1;
      const label = budgetName(budget);
      return html`<div key=${label} title=${t("terms.until", { at: date(budget.until) })}>
        <${Progress} label=${label} value=${full ? 1 : share} tone=${full ? "bad" : share >= NEARLY ? "warn" : undefined} note=${t("terms.spent_of", { spent: money(budget.spent_nano), limit: money(budget.limit_nano) })} />
        ${full && html`<small class="bad">${t("terms.used_up", { at: date(budget.until) })}</small>`}
      </div>`;
    })}
  </div>`;
}
