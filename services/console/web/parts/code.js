/**
 * Code with a button that copies it, every line break as it is; and secrets that are shown once.
 */
import { copy } from "../core/clipboard.js";
import { cx, html, useEffect, useState } from "../core/html.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { Notice } from "./notice.js";
import { toast } from "./toast.js";

const SHOWN_MS = 2000;

/** @param {{text: string | (() => string), label?: string, words?: boolean, kind?: string}} props words: the button has words, not only an icon */
export function CopyButton({ text, label = t("common.copy"), words, kind = "quiet" }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done]);
  const click = async () => {
    if (await copy(typeof text === "function" ? text() : text)) setDone(true);
    else toast(t("common.not_copied"), "error");
  };
  const said = done ? t("common.copied") : label;
  return html`<${Button} kind=${kind} small icon=${done ? "check" : "copy"} label=${said} class=${cx("copy", done && "done")} onClick=${click}>
    ${words && said}
  </${Button}>`;
}

/**
 * @param {{text: string, title?: string, wrap?: boolean, actions?: unknown}} props title: above it, such as the language; wrap: long
 *   lines are broken
 */
export function CodeBlock({ text, title, wrap, actions }) {
  return html`<figure class=${cx("code", wrap && "wrap")}>
    <figcaption><span>${title}</span>${actions}<${CopyButton} text=${text} /></figcaption>
    <pre tabindex="0" aria-label=${title}><code>${text}</code></pre>
  </figure>`;
}

/** @param {{text: string}} props a short text with a copy button, in a line */
export function CopyText({ text }) {
  return html`<span class="copy-text"><code>${text}</code><${CopyButton} text=${text} /></span>`;
}

/**
 * A secret that nobody can see again.
 * @param {{label: string, secret: string}} props
 */
export function SecretOnce({ label, secret }) {
  return html`<div class="secret">
    <${Notice} kind="warning"><p>${t("common.secret_once")}</p></${Notice}>
    <div class="secret-box">
      <code aria-label=${label} data-secret>${secret}</code>
      <${CopyButton} text=${secret} words kind="primary" />
    </div>
  </div>`;
}
