/**
 * The dialog for the limits and budgets of a user, which all of the user's keys share.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { Form, useForm } from "../../../parts/form.js";
import { BudgetFields, budgetFaults, budgetsOf, budgetValues, LimitFields, limitsOf } from "../../../parts/terms.js";

/** @param {{account: string, user: object, onDone: () => void, onClose: () => void}} props */
export function TermsDialog({ account, user, onDone, onClose }) {
  const path = at`accounts/${account}/users/${user.name}`;
  const form = useForm({ limits: user.limits, budgets: budgetValues(user.budgets) }, {
    check: ({ budgets }) => budgetFaults(budgets),
    submit: async ({ limits, budgets }) => {
      await api.put(`${path}/limits`, limitsOf(limits, user.limits));
      await api.put(`${path}/budgets`, budgetsOf(budgets, user.budgets));
      onDone();
    },
  });
  return html`<${Dialog} title=${t("members.terms_title", { name: user.name })} onClose=${onClose} wide>
    <p class="quiet">${t("members.terms_text")}</p>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${BudgetFields} form=${form} />
      <${LimitFields} form=${form} />
    </${Form}>
  </${Dialog}>`;
}
