/**
 * What the operators tell everybody: announcements in both languages, now and to come.
 */
import { api, at } from "../../core/api.js";
import { date } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { loadStyle } from "../../core/styles.js";
import { LANGUAGES, t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { confirm } from "../../parts/dialog.js";
import { Markdown } from "../../parts/markdown.js";
import { Menu } from "../../parts/menu.js";
import { Empty, Loaded } from "../../parts/notice.js";
import { Card, Grid, PageHeader } from "../../parts/page.js";
import { toast } from "../../parts/toast.js";
import { AnnouncementDialog } from "./announcements/form.js";

await loadStyle("styles/site.css");

const LEVELS = { info: "info", warning: "warn", critical: "bad" };
const STATES = { shown: "good", to_come: "info", over: "neutral" };

function stateOf({ since, until }) {
  const now = new Date();
  if (until && new Date(until) <= now) return "over";
  return new Date(since) > now ? "to_come" : "shown";
}

export default function Announcements() {
  const announcements = useLoad((signal) => api.get("announcements", {}, { signal }), []);
  const [dialog, setDialog] = useState(null);
  const done = (sentence) => {
    setDialog(null);
    toast(sentence);
    announcements.reload();
  };
  const remove = async (announcement) => {
    const agreed = await confirm({
      title: t("announcements.delete_title"),
      text: t("announcements.delete_text"),
      action: t("announcements.delete"),
      danger: true,
      work: () => api.delete(at`announcements/${announcement.id}`),
    });
    if (agreed) done(t("announcements.deleted"));
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({})}>${t("announcements.create")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.announcements")} text=${t("announcements.text")} actions=${create} />
    <${Loaded} of=${announcements}>
      ${(found) =>
        found.length === 0
          ? html`<${Card}><${Empty} icon="megaphone" title=${t("announcements.none")} action=${create}>${t("announcements.none_text")}</${Empty}></${Card}>`
          : html`<div class="announcement-list">
              ${found.map((each) => html`<${One} key=${each.id} announcement=${each} onChange=${() => setDialog({ announcement: each })} onDelete=${() => remove(each)} />`)}
            </div>`}
    </${Loaded}>
    ${dialog && html`<${AnnouncementDialog} announcement=${dialog.announcement} onClose=${() => setDialog(null)} onDone=${() => done(t(dialog.announcement ? "announcements.changed" : "announcements.created"))} />`}
  `;
}

function One({ announcement, onChange, onDelete }) {
  const { level, audience, since, until, texts } = announcement;
  const state = stateOf(announcement);
  const span = until ? t("announcements.from_to", { since: date(since), until: date(until) }) : t("announcements.from", { since: date(since) });
  const items = [
    { label: t("announcements.change"), icon: "edit", run: onChange },
    null,
    { label: t("announcements.delete"), icon: "trash", danger: true, run: onDelete },
  ];
  return html`<${Card}>
    <div class="announcement-head">
      <${Badge} tone=${STATES[state]}>${t(`announcements.state.${state}`)}</${Badge}>
      <${Badge} tone=${LEVELS[level]} dot=${false}>${t(`announcements.level.${level}`)}</${Badge}>
      <span class="quiet">${t(`announcements.audience.${audience}`)} · ${span}</span>
      <span class="grow"></span>
      <${Menu} label=${t("common.actions")} items=${items} />
    </div>
    <${Grid} wide>
      ${Object.entries(LANGUAGES)
        .filter(([language]) => texts[language])
        .map(([language, name]) => html`<div key=${language} lang=${language}><p class="quiet"><small>${name}</small></p><${Markdown} text=${texts[language]} /></div>`)}
    </${Grid}>
  </${Card}>`;
}
