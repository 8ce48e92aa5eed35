/**
 * The dialog that makes an account, with the login that owns it.
 */
import { api, ApiError, at } from "../../../core/api.js";
import { html, useRef } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { Dialog } from "../../../parts/dialog.js";
import { MoneyField, moneyFault, SelectField, SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";

const OWN_GROUPS = ["default"];

/** Those that the browser knows, and UTC, which is not among them everywhere. */
export const timeZones = () => [...new Set(["UTC", ...Intl.supportedValuesOf("timeZone")])].map((value) => ({ value, label: value }));

/** Names of tiers and groups, for fields. */
export async function readChoices(signal) {
  const [tiers, groups] = await Promise.all(["tiers", "groups"].map((path) => api.get(path, {}, { signal })));
  return { tiers: tiers.map(({ name }) => ({ value: name, label: name })), groups: groups.map(({ name }) => name) };
}

/** @param {{onDone: (made: {account: object, link: object|null}) => void, onClose: () => void}} props link: for a new owner's password */
export function NewAccount({ onDone, onClose }) {
  const choices = useLoad(readChoices, []);
  const begun = useRef({});
  const initial = { name: "", owner: "", new_login: false, tier: null, groups: OWN_GROUPS, time_zone: "UTC", credit: null, trial: false };
  const form = useForm(initial, {
    check: ({ credit }) => ({ credit: moneyFault(credit) }),
    submit: async (values) => onDone(await make(values, begun.current)),
  });
  return html`<${Dialog} title=${t("accounts.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${t("accounts.create")} onCancel=${onClose}>
      <div class="form-row">
        <${TextField} form=${form} name="name" label=${t("accounts.name")} help=${t("accounts.name_help")} required autofocus />
        <${TextField} form=${form} name="owner" label=${t("accounts.owner")} help=${t("accounts.owner_help")} autocapitalize="none" />
      </div>
      <${SwitchField} form=${form} name="new_login" label=${t("accounts.new_login")} help=${t("accounts.new_login_help")} disabled=${!form.get("owner")} />
      <div class="form-row">
        <${SelectField} form=${form} name="tier" label=${t("accounts.tier")} empty=${t("accounts.no_tier")} options=${choices.data?.tiers ?? []} />
        <${SelectField} form=${form} name="time_zone" label=${t("accounts.time_zone")} options=${timeZones()} required />
      </div>
      <${ChipsField} form=${form} name="groups" label=${t("accounts.groups")} help=${t("accounts.groups_help")} options=${choices.data?.groups ?? []} required />
      <div class="form-row">
        <${MoneyField} form=${form} name="credit" label=${t("accounts.credit")} help=${t("accounts.credit_help")} />
        <${SwitchField} form=${form} name="trial" label=${t("accounts.with_trial")} help=${t("accounts.with_trial_help")} />
      </div>
    </${Form}>
  </${Dialog}>`;
}

/** What is done is not done again when the rest has failed and is tried once more. */
async function make({ name, owner, new_login: newLogin, groups, ...rest }, begun) {
  const login = owner.trim();
  if (login && !newLogin) await findLogin(login);
  if (begun.account?.name !== name) {
    const { credit, ...terms } = rest;
    begun.account = await api.post("accounts", { name, ...terms, ...(credit && { credit }) });
  }
  const path = at`accounts/${name}`;
  if (String(groups) !== String(begun.account.groups)) begun.account = await api.patch(path, { groups });
  if (login && newLogin && begun.login?.login.name !== login) begun.login = await api.post("logins", { name: login });
  if (login) await api.post(`${path}/members`, { login, role: "owner" });
  return { account: begun.account, link: newLogin && begun.login ? begun.login.link : null };
}

async function findLogin(name) {
  try {
    await api.get(at`logins/${name}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    throw new ApiError(404, error.type, error.message, [`owner: ${t("accounts.no_login")}`]);
  }
}
