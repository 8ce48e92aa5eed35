/**
 * Who may register, in a few lines; the dialog is that of the people's page.
 */
import { api } from "../../../core/api.js";
import { count, list } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { Loaded } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";
import { RegistrationDialog } from "../logins/registration.js";

const answer = (yes) => t(yes ? "settings.yes" : "settings.no");

export function Registration() {
  const settings = useLoad((signal) => api.get("registration", {}, { signal }), []);
  const [open, setOpen] = useState(false);
  const done = () => {
    setOpen(false);
    toast(t("logins.registration_saved"));
    settings.reload();
  };
  const change = html`<${Button} small icon="edit" onClick=${() => setOpen(true)}>${t("settings.change")}</${Button}>`;
  return html`<${Card} title=${t("logins.registration")} text=${t("settings.registration_text")} actions=${change}>
    <${Loaded} of=${settings} lines=${6}>${(found) => html`<${Definitions} items=${lines(found)} />`}</${Loaded}>
    ${open && html`<${RegistrationDialog} onClose=${() => setOpen(false)} onDone=${done} />`}
  </${Card}>`;
}

const lines = (found) => [
  [t("logins.open"), html`<${Badge} tone=${found.open ? "good" : "neutral"}>${answer(found.open)}</${Badge}>`],
  [t("logins.approval"), answer(found.approval)],
  [t("logins.site_name"), found.site_name],
  [t("logins.name_pattern"), found.name_pattern ? html`<code>${found.name_pattern}</code>` : null],
  [t("logins.email_domains"), found.email_domains.length ? list(found.email_domains) : null],
  [t("logins.tier"), found.tier],
  [t("logins.groups"), found.groups.length ? list(found.groups) : null],
  [t("logins.trial"), answer(found.trial)],
  [t("logins.per_day_max"), count(found.per_day_max)],
];
