/**
 * Where the site's operators are told that something is wrong.
 */
import { api } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { ChipsField } from "../../../parts/chips.js";
import { CopyText } from "../../../parts/code.js";
import { Dialog } from "../../../parts/dialog.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Loaded, errorText } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";

export function SiteAlerts() {
  const terms = useLoad((signal) => api.get("alerts/terms", {}, { signal }), []);
  const [open, setOpen] = useState(false);
  const told = terms.data && (terms.data.webhook || terms.data.email.length > 0);
  const test = async () => {
    try {
      await api.post("alerts/test");
      toast(t("settings.test_sent"));
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const done = () => {
    setOpen(false);
    toast(t("settings.alerts_changed"));
    terms.reload();
  };
  const actions = terms.data && html`${told && html`<${Button} small icon="send" onClick=${test}>${t("settings.test")}</${Button}>`}
    <${Button} small icon="edit" onClick=${() => setOpen(true)}>${t("settings.change")}</${Button}>`;
  return html`<${Card} title=${t("settings.alerts")} text=${t("settings.alerts_text")} actions=${actions}>
    <${Loaded} of=${terms}>${(data) => (told ? html`<${Definitions} items=${lines(data)} />` : html`<p class="quiet">${t("settings.nobody_told")}</p>`)}</${Loaded}>
    ${open && html`<${AlertsDialog} terms=${terms.data} onClose=${() => setOpen(false)} onDone=${done} />`}
  </${Card}>`;
}

const lines = ({ webhook, email, signing_secret: secret }) => [
  [t("settings.email"), email.length ? email.join(", ") : null],
  [t("settings.webhook"), webhook && html`<code>${webhook}</code>`],
  webhook && secret && [t("settings.signed_with"), html`<${CopyText} text=${secret} />`],
];

function AlertsDialog({ terms, onClose, onDone }) {
  const form = useForm({ alerts: { webhook: terms.webhook ?? "", email: terms.email } }, {
    submit: async ({ alerts }) => {
      await api.post("apply", { alerts: { ...alerts, webhook: alerts.webhook.trim() || null } });
      onDone();
    },
  });
  return html`<${Dialog} title=${t("settings.alerts")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${ChipsField} form=${form} name="alerts.email" label=${t("settings.email")} placeholder="ops@example.org" free />
      <${TextField} form=${form} name="alerts.webhook" label=${t("settings.webhook")} help=${t("settings.webhook_help")} type="url" placeholder="https://" />
    </${Form}>
  </${Dialog}>`;
}
