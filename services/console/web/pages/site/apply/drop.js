/**
 * Where a file is dropped or chosen; it is read in the browser.
 */
import { size } from "../../../core/format.js";
import { cx, html, useRef, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Icon } from "../../../parts/icon.js";

/** What the console takes at most, as text within JSON. */
const BYTES_MAX = 8 * 1024 * 1024;

/** @param {{accept: string, onText: (text: string, name: string) => void}} props accept: endings of names, as an input takes them */
export function Drop({ accept, onText }) {
  const input = useRef(null);
  const [over, setOver] = useState(false);
  const [file, setFile] = useState(null);
  const take = async (chosen) => {
    if (!chosen) return;
    const tooLarge = chosen.size > BYTES_MAX;
    setFile({ name: chosen.name, size: chosen.size, tooLarge });
    if (!tooLarge) onText(await chosen.text(), chosen.name);
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files[0]);
  };
  const drag = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const chosen = (event) => {
    void take(event.target.files[0]);
    // The same file again, after it was changed, is a choice, too.
    event.target.value = "";
  };
  return html`<div class=${cx("drop", over && "over")} onDragOver=${drag} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <${Icon} name="file" size=${22} />
    <span>${file ? t("apply.dropped", { name: file.name, size: size(file.size) }) : t("apply.drop")}</span>
    <input ref=${input} type="file" accept=${accept} hidden onChange=${chosen} />
    <${Button} small onClick=${() => input.current.click()}>${t("apply.choose")}</${Button}>
    ${file?.tooLarge && html`<strong class="bad" role="alert">${t("apply.too_large", { size: size(BYTES_MAX) })}</strong>`}
  </div>`;
}
