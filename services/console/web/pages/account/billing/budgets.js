/**
 * The budgets of an account, with what is spent of them; and the dialog that changes its own.
 */
import { api, at } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { BudgetList } from "../../../parts/budgets.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { Form, useForm } from "../../../parts/form.js";
import { Empty, Loaded, errorText } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { BudgetFields, budgetFaults, budgetsOf, budgetValues } from "../../../parts/terms.js";
import { toast } from "../../../parts/toast.js";

/** @param {{account: string, changes: boolean}} props changes: whether the reader may change them */
export function BudgetsCard({ account, changes }) {
  const path = at`accounts/${account}`;
  const [before, setBefore] = useState(null);
  const spending = useLoad((signal) => api.get(`${path}/spending`, {}, { signal }), [path]);
  const open = async () => setBefore(await api.get(`${path}/budgets`).catch((error) => void toast(errorText(error), "error")));
  const done = () => {
    setBefore(null);
    toast(t("billing.budgets_changed"));
    spending.reload();
  };
  const change = changes && html`<${Button} small icon="edit" onClick=${open}>${t("billing.change")}</${Button}>`;
  return html`<${Card} title=${t("billing.budgets")} actions=${change}>
    <${Loaded} of=${spending}>
      ${(budgets) => (budgets.length ? html`<${BudgetList} budgets=${budgets} />` : html`<${Empty} icon="shield" title=${t("billing.no_budgets")}>${t("billing.no_budgets_text")}</${Empty}>`)}
    </${Loaded}>
    ${before && html`<${BudgetsDialog} path=${path} before=${before} onClose=${() => setBefore(null)} onDone=${done} />`}
  </${Card}>`;
}

function BudgetsDialog({ path, before, onClose, onDone }) {
  const form = useForm({ budgets: budgetValues(before) }, {
    check: ({ budgets }) => budgetFaults(budgets),
    submit: async ({ budgets }) => {
      await api.put(`${path}/budgets`, budgetsOf(budgets, before));
      onDone();
    },
  });
  return html`<${Dialog} title=${t("billing.change_budgets")} onClose=${onClose}>
    <p class="quiet">${t("billing.budgets_text")}</p>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}><${BudgetFields} form=${form} /></${Form}>
  </${Dialog}>`;
}
