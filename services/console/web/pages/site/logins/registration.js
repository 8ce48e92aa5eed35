/**
 * The dialog of the site's registration: who may make a login, and what it begins with.
 */
import { api } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { Dialog } from "../../../parts/dialog.js";
import { NumberField, SelectField, SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Loaded } from "../../../parts/notice.js";

/** @param {{onDone: () => void, onClose: () => void}} props */
export function RegistrationDialog({ onDone, onClose }) {
  const loaded = useLoad(async (signal) => {
    const [settings, tiers, groups] = await Promise.all(["registration", "tiers", "groups"].map((path) => api.get(path, {}, { signal })));
    return { settings, tiers: tiers.map((tier) => tier.name), groups: groups.map((group) => group.name) };
  }, []);
  return html`<${Dialog} title=${t("logins.registration")} onClose=${onClose} wide>
    <${Loaded} of=${loaded}>${(found) => html`<${Settings} ...${found} onDone=${onDone} onClose=${onClose} />`}</${Loaded}>
  </${Dialog}>`;
}

function Settings({ settings, tiers, groups, onDone, onClose }) {
  const form = useForm(settings, {
    submit: async (values) => {
      await api.put("registration", values);
      onDone();
    },
  });
  return html`<${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
    <${SwitchField} form=${form} name="open" label=${t("logins.open")} help=${t("logins.open_help")} />
    <${SwitchField} form=${form} name="approval" label=${t("logins.approval")} help=${t("logins.approval_help")} />
    <${TextField} form=${form} name="site_name" label=${t("logins.site_name")} required />
    <${TextField} form=${form} name="name_pattern" label=${t("logins.name_pattern")} help=${t("logins.name_pattern_help")} placeholder="[0-9]{10}" />
    <div class="form-row">
      <${TextField} form=${form} name="name_help.en" label=${t("logins.name_help", { language: "English" })} />
      <${TextField} form=${form} name="name_help.zh" label=${t("logins.name_help", { language: "中文" })} />
    </div>
    <div class="form-row">
      <${NumberField} form=${form} name="password_chars_min" label=${t("logins.password_chars_min")} min="8" />
      <${NumberField} form=${form} name="per_day_max" label=${t("logins.per_day_max")} help=${t("logins.per_day_max_help")} min="1" />
    </div>
    <${SwitchField} form=${form} name="email_required" label=${t("logins.email_required")} />
    <${ChipsField} form=${form} name="email_domains" label=${t("logins.email_domains")} help=${t("logins.email_domains_help")} free />
    <div class="form-row">
      <${SelectField} form=${form} name="tier" label=${t("logins.tier")} empty=${t("logins.no_tier")} options=${tiers.map((name) => ({ value: name, label: name }))} />
      <${ChipsField} form=${form} name="groups" label=${t("logins.groups")} options=${groups} />
    </div>
    <${SwitchField} form=${form} name="trial" label=${t("logins.trial")} help=${t("logins.trial_help")} />
  </${Form}>`;
}
