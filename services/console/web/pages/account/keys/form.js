/**
 * The dialog that makes a key or changes one.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { useScope, useSession } from "../../../core/session.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { Dialog } from "../../../parts/dialog.js";
import { DateTimeField, SelectField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { BUDGETS, BudgetFields, budgetFaults, budgetsOf, budgetValues, differ, LimitFields, LIMITS, limitsOf } from "../../../parts/terms.js";

/** What the form shows of a key; of a new one the defaults. */
function valuesOf(key) {
  if (!key) return { name: "", groups: ["default"], models: ["*"], expires: null, allow_ips: [], user: null, limits: {}, budgets: {} };
  const { name, groups, models, expires_at: expires, allow_ips, user, limits, budgets } = key;
  return { name, groups, models, expires, allow_ips, user, limits, budgets: budgetValues(budgets) };
}

async function save(account, key, values) {
  const { name, groups, models, expires, allow_ips, user } = values;
  const rights = { name, groups, models, expires, allow_ips, user };
  const limits = limitsOf(values.limits, key?.limits);
  const budgets = budgetsOf(values.budgets, key?.budgets);
  if (!key) return api.post(at`accounts/${account}/keys`, { ...rights, limits, budgets });
  const changed = await api.patch(at`accounts/${account}/keys/${key.name}`, rights);
  const path = at`accounts/${account}/keys/${name}`;
  const before = valuesOf(key);
  if (differ(before.limits, values.limits, LIMITS)) await api.put(`${path}/limits`, limits);
  if (differ(before.budgets, values.budgets, BUDGETS)) await api.put(`${path}/budgets`, budgets);
  return changed;
}

/**
 * @param {{account: string, entry?: object, onDone: (answer: object) => void, onClose: () => void}} props entry: the key to be
 *   changed; none makes one
 */
export function KeyDialog({ account, entry, onDone, onClose }) {
  const operator = useSession().login.operator;
  const seesUsers = useScope("members_read", account);
  const place = useLoad((signal) => api.get(at`accounts/${account}/place`, {}, { signal }), [account]);
  const square = useLoad((signal) => api.get(at`accounts/${account}/models`, {}, { signal }), [account]);
  const users = useLoad(async (signal) => (seesUsers ? api.get(at`accounts/${account}/users`, {}, { signal }) : []), [account]);
  const form = useForm(valuesOf(entry), {
    check: ({ budgets }) => budgetFaults(budgets),
    submit: async (values) => onDone(await save(account, entry, values)),
  });
  const limited = LIMITS.some((name) => form.get(`limits.${name}`)) || BUDGETS.some((name) => form.get(`budgets.${name}`));
  return html`<${Dialog} title=${entry ? t("keys.change_title", { name: entry.name }) : t("keys.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${entry ? t("common.save") : t("keys.create")} onCancel=${onClose}>
      <div class="form-row">
        <${TextField} form=${form} name="name" label=${t("keys.name")} help=${t("keys.name_help")} required autofocus />
        <${DateTimeField} form=${form} name="expires" label=${t("keys.expires")} help=${t("keys.expires_help")} />
      </div>
      <${ChipsField} form=${form} name="groups" label=${t("keys.groups")} help=${t("keys.groups_help")} options=${place.data?.groups ?? []} free=${operator} required />
      <${ChipsField} form=${form} name="models" label=${t("keys.models")} help=${t("keys.models_help")} options=${modelOptions(square.data)} free required />
      <details class="form-section" open=${limited}>
        <summary>${t("keys.limits")}</summary>
        <${BudgetFields} form=${form} />
        <${LimitFields} form=${form} />
      </details>
      <details class="form-section" open=${form.get("allow_ips").length > 0 || Boolean(form.get("user"))}>
        <summary>${t("keys.restrictions")}</summary>
        <${ChipsField} form=${form} name="allow_ips" label=${t("keys.allow_ips")} help=${t("keys.allow_ips_help")} placeholder="203.0.113.0/24" free />
        ${users.data?.length > 0 &&
        html`<${SelectField} form=${form} name="user" label=${t("keys.user")} help=${t("keys.user_help")} empty=${t("keys.no_user")} options=${users.data.map((user) => ({ value: user.name, label: user.name }))} />`}
      </details>
    </${Form}>
  </${Dialog}>`;
}

function modelOptions(square) {
  const names = square?.models.map((model) => ({ value: model.name, label: model.name })) ?? [];
  return [{ value: "*", label: "*", note: t("keys.all_models") }, ...names];
}
