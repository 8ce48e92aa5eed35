/**
 * Markdown as elements: the one place where text becomes HTML, and only after it is sanitised.
 */
import { copy } from "../core/clipboard.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { loadScript } from "../core/styles.js";
import { t, useLanguage } from "../core/words.js";

let library = null;
let ready = null;

async function load() {
  library ??= Promise.all([import("../vendor/marked.js"), loadScript("vendor/dompurify.js")]).then(([{ Marked }]) => {
    const purify = globalThis.DOMPurify;
    // HTML inside of a text is shown as it is written: whoever reads about it wants to see it, and it can do nothing.
    const marked = new Marked({ gfm: true, breaks: false, renderer: { html: ({ text }) => escaped(text) } });
    ready = (text) =>
      purify.sanitize(marked.parse(text), {
        RETURN_DOM_FRAGMENT: true,
        USE_PROFILES: { html: true },
        FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "video", "audio", "iframe"],
        FORBID_ATTR: ["style", "class", "id", "name", "target"],
        ALLOW_DATA_ATTR: false,
      });
    return ready;
  });
  return library;
}

const escaped = (text) => text.replace(/[&<>"']/g, (mark) => `&#${mark.codePointAt(0)};`);

/**
 * @param {{text: string, onLink?: (href: string) => string|null}} props onLink: another address for a link; null leaves it
 */
export function Markdown({ text, onLink }) {
  const host = useRef(null);
  const [render, setRender] = useState(() => ready);
  const language = useLanguage();
  useEffect(() => {
    if (!render) load().then((made) => setRender(() => made));
  }, []);
  // Before it is painted: what was text a moment ago would be seen as such.
  useLayoutEffect(() => {
    if (!render) return;
    const fragment = render(text);
    for (const link of fragment.querySelectorAll("a")) safeLink(link, onLink);
    for (const image of fragment.querySelectorAll("img")) safeImage(image);
    for (const block of fragment.querySelectorAll("pre")) withCopy(block);
    for (const table of fragment.querySelectorAll("table")) scrolling(table);
    host.current.replaceChildren(fragment);
  }, [render, text, language]);
  // Until the renderer is there the text stands as it is.
  return html`<div class="markdown" ref=${host} key=${render ? "made" : "plain"}>${!render && html`<p class="as-is">${text}</p>`}</div>`;
}

function safeLink(link, onLink) {
  const href = link.getAttribute("href") ?? "";
  const own = onLink?.(href);
  if (own) link.setAttribute("href", own);
  else if (!href.startsWith("#")) link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noopener noreferrer");
}

/** An image from elsewhere would tell that server who reads. It becomes a link. */
function safeImage(image) {
  const source = image.getAttribute("src") ?? "";
  if (/^data:image\/(png|jpeg|gif|webp);/.test(source)) return;
  const link = document.createElement("a");
  if (/^https?:/.test(source)) {
    link.href = source;
    link.target = "_blank";
  }
  link.rel = "noopener noreferrer";
  link.textContent = image.getAttribute("alt") || source;
  image.replaceWith(link);
}

function withCopy(block) {
  const frame = document.createElement("div");
  frame.className = "code";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small copy-words";
  button.textContent = t("common.copy");
  // The renderer ends every block with a line break that its writer did not mean.
  const written = block.textContent.replace(/\n$/, "");
  button.addEventListener("click", async () => {
    button.textContent = (await copy(written)) ? t("common.copied") : t("common.not_copied");
    setTimeout(() => (button.textContent = t("common.copy")), 2000);
  });
  block.tabIndex = 0;
  block.replaceWith(frame);
  frame.append(button, block);
}

function scrolling(table) {
  const frame = document.createElement("div");
  frame.className = "scrolling";
  frame.tabIndex = 0;
  table.replaceWith(frame);
  frame.append(table);
}
