/**
 * The dialog that writes an announcement, with what its readers will see.
 */
import { api, at } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { LANGUAGES, t } from "../../../core/words.js";
import { Announcement } from "../../../parts/announcements.js";
import { Dialog } from "../../../parts/dialog.js";
import { DateTimeField, SelectField, TextAreaField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Segments } from "../../../parts/tabs.js";

const LEVELS = ["info", "warning", "critical"];
const AUDIENCES = ["everyone", "signed_in"];
const NEW = { texts: {}, level: "info", audience: "everyone", since: null, until: null };

const choices = (values, words) => values.map((value) => ({ value, label: words(value) }));

/** Without the languages in which nothing is written. */
const written = (texts) => Object.fromEntries(Object.entries(texts).filter(([, text]) => text.trim()));

/** @param {{announcement?: object, onDone: () => void, onClose: () => void}} props announcement: to be changed; none makes one */
export function AnnouncementDialog({ announcement, onDone, onClose }) {
  const { texts, level, audience, since, until } = announcement ?? NEW;
  const [language, setLanguage] = useState(Object.keys(texts)[0] ?? Object.keys(LANGUAGES)[0]);
  const form = useForm({ texts, level, audience, since, until }, {
    check: (values) => ({ [`texts.${language}`]: Object.keys(written(values.texts)).length === 0 && t("announcements.text_needed") }),
    submit: async (values) => {
      const body = { ...values, texts: written(values.texts) };
      // Left out: it begins now, or stays as it is.
      if (!body.since) delete body.since;
      await (announcement ? api.patch(at`announcements/${announcement.id}`, body) : api.post("announcements", body));
      onDone();
    },
  });
  const shown = form.get(`texts.${language}`)?.trim();
  return html`<${Dialog} title=${t(announcement ? "announcements.change_title" : "announcements.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${announcement ? t("common.save") : t("announcements.create")} onCancel=${onClose}>
      <div><${Segments} label=${t("nav.language")} value=${language} onChange=${setLanguage} options=${Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))} /></div>
      <${TextAreaField} key=${language} form=${form} name=${`texts.${language}`} label=${t("announcements.text_in", { language: LANGUAGES[language] })} help=${t("announcements.text_help")} rows="6" lang=${language} required=${false} />
      <div class="stack">
        <p class="quiet">${t("announcements.preview")}</p>
        ${shown ? html`<${Announcement} announcement=${{ level: form.get("level"), language, text: shown }} />` : html`<p class="quiet">${t("announcements.no_preview")}</p>`}
      </div>
      <div class="form-row">
        <${SelectField} form=${form} name="level" label=${t("announcements.level")} options=${choices(LEVELS, (value) => t(`announcements.level.${value}`))} required />
        <${SelectField} form=${form} name="audience" label=${t("announcements.audience")} options=${choices(AUDIENCES, (value) => t(`announcements.audience.${value}`))} required />
      </div>
      <div class="form-row">
        <${DateTimeField} form=${form} name="since" label=${t("announcements.since")} help=${t("announcements.since_help")} />
        <${DateTimeField} form=${form} name="until" label=${t("announcements.until")} help=${t("announcements.until_help")} />
      </div>
    </${Form}>
  </${Dialog}>`;
}
