/**
 * What a file of another gateway would be here: what became of each part, what would change; and applying it.
 */
import { api } from "../../../core/api.js";
import { html, useEffect, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { confirm } from "../../../parts/dialog.js";
import { Notice } from "../../../parts/notice.js";
import { Card, Stat, Stats } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";
import { Changes } from "../apply/changes.js";
import { fill, Variables } from "../apply/variables.js";

/** What wants attention comes first. */
const FATES = ["to_do", "left_out", "changed", "taken"];
const TONES = { to_do: "warn", left_out: "bad", changed: "info", taken: "good" };
const REMARKS_SHOWN = 200;

/** @param {{preview: object}} props */
export function Preview({ preview: { configuration, yaml, remarks, variables, changes, faults } }) {
  const [values, setValues] = useState({});
  const [applied, setApplied] = useState(null);
  const apply = async () => {
    let done = null;
    const agreed = await confirm({
      title: t("import.confirm_title"),
      text: t("import.confirm_text"),
      action: t("import.apply"),
      work: async () => (done = await api.post("apply", fill(configuration, values))),
    });
    if (!agreed) return;
    toast(t("apply.done"));
    setApplied(done.changes);
  };
  const ready = faults.length === 0 && changes.length > 0 && !applied;
  const actions = html`<${YamlLink} yaml=${yaml} />
    ${ready && html`<${Button} kind="primary" small onClick=${apply}>${t("import.apply")}</${Button}>`}`;
  const shown = applied ?? changes;
  return html`
    <${Stats}>
      ${FATES.map((fate) => html`<${Stat} key=${fate} label=${t(`import.fate.${fate}`)} value=${String(remarks.filter((remark) => remark.fate === fate).length)} />`)}
    </${Stats}>
    <${Card} title=${t("import.remarks")} text=${t("import.remarks_text")}>
      <div class="stack">${FATES.map((fate) => html`<${Remarks} key=${fate} fate=${fate} remarks=${remarks.filter((remark) => remark.fate === fate)} />`)}</div>
    </${Card}>
    ${faults.length > 0 &&
    html`<${Notice} kind="error" title=${t("import.faults")}><p>${t("import.faults_text")}</p><ul>${faults.map((fault) => html`<li key=${fault}>${fault}</li>`)}</ul></${Notice}>`}
    ${variables.length > 0 && !applied && html`<${Card} title=${t("import.secrets")}><${Variables} names=${variables} values=${values} onChange=${setValues} /></${Card}>`}
    <${Card} title=${t(applied ? "apply.has_changed" : "apply.would_change")} text=${t("import.yaml_text")} actions=${actions}>
      ${shown.length > 0 ? html`<${Changes} changes=${shown} />` : html`<p class="quiet">${faults.length ? t("import.no_changes_yet") : t("apply.nothing")}</p>`}
    </${Card}>
  `;
}

function Remarks({ fate, remarks }) {
  const [shown, setShown] = useState(REMARKS_SHOWN);
  if (remarks.length === 0) return null;
  return html`<details class="form-section" open=${fate === "to_do" || fate === "left_out"}>
    <summary><${Badge} tone=${TONES[fate]}>${t(`import.fate.${fate}`)}</${Badge}> <span class="number">${remarks.length}</span></summary>
    <ul class="remarks">
      ${remarks.slice(0, shown).map((remark, at) => html`<li key=${at}>${remark.place && html`<code>${remark.place}</code>`}<span>${remark.message}</span></li>`)}
    </ul>
    ${remarks.length > shown && html`<${Button} small onClick=${() => setShown(shown * 2)}>${t("common.more")}</${Button}>`}
  </details>`;
}

/** The configuration as a file: it has secrets, and is made in this window alone. */
function YamlLink({ yaml }) {
  const [href, setHref] = useState(null);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([yaml], { type: "application/yaml" }));
    setHref(made);
    return () => URL.revokeObjectURL(made);
  }, [yaml]);
  return href && html`<${Button} small icon="download" href=${href} download="trunkline.yaml">${t("import.download")}</${Button}>`;
}
