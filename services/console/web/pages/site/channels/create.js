/**
 * The dialog that makes a channel: what is needed at first; the rest has its place on the channel's page.
 */
import { api } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { ChipsField } from "../../../parts/chips.js";
import { Dialog } from "../../../parts/dialog.js";
import { PasswordField, SelectField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { applyChannel } from "./apply.js";
import { emptyModel, modelEntries, modelMap, ModelRows, modelRowsFault } from "./model-rows.js";
import { DIALECTS, VENDORS } from "./vendors.js";

const DEFAULT_GROUP = "default";

/** @param {{names: string[], onClose: () => void, onDone: (name: string) => void}} props names: of the channels that are there */
export function NewChannel({ names, onClose, onDone }) {
  const known = useLoad((signal) => api.get("names", {}, { signal }), []);
  const [more, setMore] = useState({});
  const form = useForm(
    { vendor: null, name: "", dialect: "openai", base_url: "", credentials: "", groups: [DEFAULT_GROUP], models: [emptyModel()] },
    {
      // Sent all the same, it would replace the other channel.
      check: ({ name, models }) => ({ name: names.includes(name.trim()) && t("channels.name_taken"), models: modelRowsFault(models) }),
      submit: async ({ name, dialect, base_url, credentials, groups, models }) => {
        const entry = { ...more, dialect, base_url, groups, models: modelMap(models), credentials: credentials ? [credentials] : [] };
        await applyChannel(name.trim(), entry, modelEntries(models, known.data?.models ?? []));
        onDone(name.trim());
      },
    },
  );
  const choose = (vendor) => {
    const { dialect, base_url, ...rest } = VENDORS[vendor] ?? { dialect: "openai", base_url: "" };
    form.set("vendor", vendor);
    form.set("dialect", dialect);
    form.set("base_url", base_url);
    setMore(rest);
  };
  const vendors = { ...form, set: (_name, vendor) => choose(vendor) };
  return html`<${Dialog} title=${t("channels.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${t("channels.create")} onCancel=${onClose}>
      <div class="form-row">
        <${SelectField} form=${vendors} name="vendor" label=${t("channels.vendor")} help=${t("channels.vendor_help")} empty=${t("channels.other_vendor")} options=${Object.keys(VENDORS).map((value) => ({ value, label: value }))} />
        <${TextField} form=${form} name="name" label=${t("channels.name")} help=${t("channels.name_help")} required autofocus />
      </div>
      <div class="form-row">
        <${SelectField} form=${form} name="dialect" label=${t("channels.dialect")} required options=${DIALECTS.map((value) => ({ value, label: value }))} />
        <${TextField} form=${form} name="base_url" label=${t("channels.base_url")} help=${t("channels.base_url_help")} placeholder="https://api.provider.example/v1" required />
      </div>
      <div class="form-row">
        <${PasswordField} form=${form} name="credentials" label=${t("channels.secret")} help=${t("channels.secret_help")} autocomplete="off" />
        <${ChipsField} form=${form} name="groups" label=${t("channels.groups")} options=${known.data?.groups ?? []} required />
      </div>
      <${ModelRows} form=${form} known=${known.data?.models ?? []} />
    </${Form}>
  </${Dialog}>`;
}
