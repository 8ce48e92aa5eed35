/**
 * Whom invoices are made out to.
 */
import { api, at } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { TextAreaField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Loaded } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";

/** @param {{account: string, changes: boolean}} props changes: whether the reader may change it */
export function BillingAddress({ account, changes }) {
  const path = at`accounts/${account}/billing`;
  const details = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const [open, setOpen] = useState(false);
  const done = (changed) => {
    details.setData(changed);
    setOpen(false);
    toast(t("billing.address_changed"));
  };
  const change = changes && details.data && html`<${Button} small icon="edit" onClick=${() => setOpen(true)}>${t("billing.change")}</${Button}>`;
  const lines = (text, none) => (text ? html`<span class="as-is">${text}</span>` : html`<span class="quiet">${none}</span>`);
  return html`<${Card} title=${t("billing.address")} text=${t("billing.address_text")} actions=${change}>
    <${Loaded} of=${details} lines=${2}>
      ${({ address, tax }) => html`<${Definitions} items=${[
        [t("billing.made_out_to"), lines(address, t("billing.name_alone", { account }))],
        [t("billing.tax"), lines(tax, "–")],
      ]} />`}
    </${Loaded}>
    ${open && html`<${AddressDialog} path=${path} details=${details.data} onClose=${() => setOpen(false)} onDone=${done} />`}
  </${Card}>`;
}

function AddressDialog({ path, details, onClose, onDone }) {
  const form = useForm(details, { submit: async ({ address, tax }) => onDone(await api.put(path, { address: address.trim(), tax: tax.trim() })) });
  return html`<${Dialog} title=${t("billing.address")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${TextAreaField} form=${form} name="address" label=${t("billing.made_out_to")} help=${t("billing.made_out_to_help")} rows="5" autofocus />
      <${TextAreaField} form=${form} name="tax" label=${t("billing.tax")} help=${t("billing.tax_help")} rows="2" />
    </${Form}>
  </${Dialog}>`;
}
