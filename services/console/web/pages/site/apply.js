/**
 * A configuration file: checked, shown what it would change, applied; and that of what there is, to take along.
 */
import { api, ApiError, url } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { confirm } from "../../parts/dialog.js";
import { Menu } from "../../parts/menu.js";
import { Icon } from "../../parts/icon.js";
import { Notice } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { toast } from "../../parts/toast.js";
import { Changes } from "./apply/changes.js";
import { Drop } from "./apply/drop.js";
import { Editor } from "./apply/editor.js";
import { FaultLines, placesOf } from "./apply/faults.js";
import { fill, Variables } from "./apply/variables.js";

await loadStyle("styles/site.css");

const NOTHING = { read: null, applied: null, error: null, busy: false };

/** What the file is, and what it would change. @throws {ApiError} with what was read, where it could be */
async function look(text, values) {
  const read = await api.post("configuration/read", { text });
  try {
    return { read, applied: await api.post("apply", fill(read.configuration, values), { query: { dry_run: true } }) };
  } catch (error) {
    error.read = read;
    throw error;
  }
}

export default function Apply() {
  const [text, setText] = useState("");
  const [values, setValues] = useState({});
  const [found, setFound] = useState(NOTHING);
  const [line, setLine] = useState(null);
  const write = (next) => {
    setText(next);
    setFound(NOTHING);
  };
  const check = async () => {
    setFound({ ...NOTHING, busy: true });
    try {
      setFound({ ...NOTHING, ...(await look(text, values)) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFound({ ...NOTHING, read: error.read ?? null, error });
    }
  };
  const apply = async () => {
    let applied = null;
    const agreed = await confirm({
      title: t("apply.confirm_title", { count: found.applied.changes.length }),
      text: t("apply.confirm_text"),
      action: t("apply.apply"),
      work: async () => (applied = await api.post("apply", fill(found.read.configuration, values))),
    });
    if (!agreed) return;
    toast(t("apply.done"));
    setFound({ ...found, applied });
  };
  const places = found.error ? placesOf(found.error, found.read?.lines) : [];
  return html`
    <${PageHeader} title=${t("nav.apply")} text=${t("apply.text")} actions=${html`<${Export} />`} />
    <${Card} title=${t("apply.file")} text=${t("apply.file_text")}>
      <div class="stack">
        <${Drop} accept=".yaml,.yml,.json" onText=${write} />
        <${Editor} label=${t("apply.configuration")} text=${text} onInput=${write} marked=${places.map((place) => place.line)} line=${line} />
        ${found.error && html`<${FaultLines} error=${found.error} places=${places} onGo=${(number) => setLine({ number })} />`}
        ${found.read?.variables.length > 0 && html`<${Variables} names=${found.read.variables} values=${values} onChange=${(next) => (setValues(next), setFound({ ...NOTHING, read: found.read }))} />`}
        <div class="row">
          <${Button} kind=${found.applied ? "plain" : "primary"} icon="check" busy=${found.busy} disabled=${!text.trim()} onClick=${() => void check()}>${t("apply.check")}</${Button}>
          <span class="quiet">${t("apply.check_text")}</span>
        </div>
      </div>
    </${Card}>
    <div aria-live="polite">${found.applied && html`<${Outcome} applied=${found.applied} onApply=${apply} />`}</div>
  `;
}

function Outcome({ applied: { changes, dry_run: dry }, onApply }) {
  const button = dry && changes.length > 0 && html`<${Button} kind="primary" onClick=${onApply}>${t("apply.apply_count", { count: changes.length })}</${Button}>`;
  if (changes.length === 0) return html`<${Notice} kind="done"><p>${t("apply.nothing")}</p></${Notice}>`;
  return html`<${Card} title=${t(dry ? "apply.would_change" : "apply.has_changed")} text=${t("apply.changes_text", { count: changes.length })} actions=${button}>
    <${Changes} changes=${changes} />
  </${Card}>`;
}

/** As links: the browser stores what the server writes. */
function Export() {
  const items = [
    { label: t("apply.export_offer"), note: t("apply.export_offer_text"), href: url("configuration") },
    { label: t("apply.export_all"), note: t("apply.export_all_text"), href: url("configuration", { accounts: true }) },
  ];
  const shown = html`<${Icon} name="download" /><span>${t("apply.export")}</span><${Icon} name="chevron" size=${14} />`;
  return html`<${Menu} label=${t("apply.export")} items=${items} button=${shown} kind="plain" />`;
}
