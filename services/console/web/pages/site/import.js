/**
 * Coming from another gateway: what its file would be here, what is missing, and taking it.
 */
import { api } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { ErrorNotice } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { SwitchField } from "../../parts/fields.js";
import { Segments } from "../../parts/tabs.js";
import { Drop } from "./apply/drop.js";
import { Editor } from "./apply/editor.js";
import { Preview } from "./import/preview.js";

await loadStyle("styles/site.css");

const FORMATS = { litellm: { label: "LiteLLM", accept: ".yaml,.yml" }, "new-api": { label: "New API", accept: ".json" } };

export default function Import() {
  const [format, setFormat] = useState("litellm");
  const [text, setText] = useState("");
  const [accounts, setAccounts] = useState(false);
  const [found, setFound] = useState({ preview: null, error: null, busy: false });
  const forget = (change) => (value) => {
    change(value);
    setFound({ preview: null, error: null, busy: false });
  };
  const write = forget((next) => {
    setText(next);
    // An export of New API is JSON, and a file of LiteLLM hardly ever is.
    if (/^\s*\{/.test(next)) setFormat("new-api");
  });
  const look = async () => {
    setFound({ preview: null, error: null, busy: true });
    try {
      const body = { text, ...(format === "new-api" && { include: accounts ? ["channels", "accounts"] : ["channels"] }) };
      setFound({ preview: await api.post(`import/${format}/preview`, body), error: null, busy: false });
    } catch (error) {
      setFound({ preview: null, error, busy: false });
    }
  };
  // A switch outside of a form, with what a field asks of one.
  const single = { get: () => accounts, set: (_name, value) => forget(setAccounts)(value), register() {}, errorOf: () => null };
  return html`
    <${PageHeader} title=${t("nav.import")} text=${t("import.text")} />
    <${Card} title=${t("import.file")} text=${t(`import.file_text.${format.replace("-", "_")}`)}>
      <div class="stack">
        <div><${Segments} label=${t("import.from")} value=${format} onChange=${forget(setFormat)} options=${Object.entries(FORMATS).map(([value, { label }]) => ({ value, label }))} /></div>
        ${format === "new-api" && html`<${SwitchField} form=${single} name="accounts" label=${t("import.accounts")} help=${t("import.accounts_help")} />`}
        <${Drop} accept=${FORMATS[format].accept} onText=${write} />
        <${Editor} label=${t("import.content")} text=${text} onInput=${write} />
        <${ErrorNotice} error=${found.error} />
        <div class="row">
          <${Button} kind=${found.preview ? "plain" : "primary"} icon="eye" busy=${found.busy} disabled=${!text.trim()} onClick=${() => void look()}>${t("import.look")}</${Button}>
          <span class="quiet">${t("import.look_text")}</span>
        </div>
      </div>
    </${Card}>
    ${found.preview && html`<${Preview} key=${found.preview.yaml} preview=${found.preview} />`}
  `;
}
