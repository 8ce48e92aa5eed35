/**
 * The documentation for those who call the gateway. The address says which page, and `at` which section of it.
 */
import { html, useEffect, useRef } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope, useAccount, useSession } from "../../core/session.js";
import { loadScript, loadStyle } from "../../core/styles.js";
import { t, useLanguage } from "../../core/words.js";
import { Markdown } from "../../parts/markdown.js";
import { Loaded } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { NotFound } from "../../parts/states.js";
import { Examples } from "./docs/code.js";
import { Index, Turn } from "./docs/index.js";
import { readOffer } from "./docs/offer.js";
import { addressOf, addressOfLink, FIRST, PAGES } from "./docs/pages.js";
import { filled, piecesOf, readPage } from "./docs/text.js";

await loadStyle("styles/docs.css");

const SETTLED_MS = 800;

export default function Docs({ params, query }) {
  const page = params.page ?? FIRST;
  return PAGES.includes(page) ? html`<${Page} page=${page} at=${query.get("at")} />` : html`<${NotFound} />`;
}

function Page({ page, at }) {
  const language = useLanguage();
  const session = useSession();
  const chosen = useAccount();
  const account = session ? chosen : null;
  const plays = useScope("play", account) !== null;
  const article = useRef(null);
  const load = useLoad(async (signal) => {
    // The renderer is there before the text is, so that nothing moves once it can be read.
    const [text, offer] = await Promise.all([readPage(language, page, signal), readOffer(account), rendererReady()]);
    return piecesOf(filled(text, { ...offer, console_url: document.baseURI, account: account === null ? "" : encodeURIComponent(account) }));
  }, [page, language, account]);
  useSection(article, at, load.data);
  const sections = load.data?.filter((piece) => piece.kind === "heading" && piece.level === 2) ?? [];
  return html`<div class="docs">
    <${Index} page=${page} sections=${sections} onSection=${(id) => show(id)} />
    <article class="docs-page" ref=${article}>
      <${PageHeader} title=${t(`docs.page.${page}`)} />
      <${Loaded} of=${load} lines=${12}>
        ${(pieces) => html`${pieces.slice(1).map((piece, at) => html`<${Piece} key=${`${page}-${at}`} piece=${piece} page=${page} account=${plays ? account : null} />`)}
          <${Turn} page=${page} />`}
      </${Loaded}>
    </article>
  </div>`;
}

const rendererReady = () => Promise.all([import("../../vendor/marked.js"), loadScript("vendor/dompurify.js")]);

function Piece({ piece, page, account }) {
  if (piece.kind === "code") return html`<${Examples} blocks=${piece.blocks} account=${account} />`;
  if (piece.kind === "prose") return html`<${Markdown} text=${piece.text} onLink=${(href) => addressOfLink(href, page)} />`;
  const { level, id, text } = piece;
  return html`<${`h${level}`} id=${domId(id)} tabindex="-1">
    ${text} <a class="docs-anchor" href=${addressOf(page, id)} aria-label=${t("docs.anchor", { title: text })} onClick=${() => show(id)}>#</a>
  </${`h${level}`}>`;
}

const domId = (section) => `docs-${section}`;

/** Brings a section to the top, and the focus to it. */
function show(section) {
  const heading = document.getElementById(domId(section));
  heading?.scrollIntoView();
  heading?.focus({ preventScroll: true });
}

/** Shows the section that the address names, and keeps it in its place while what is above it is still being drawn. */
function useSection(article, section, data) {
  useEffect(() => {
    if (!data || !section) return undefined;
    show(section);
    const observer = new ResizeObserver(() => show(section));
    observer.observe(article.current);
    const end = () => observer.disconnect();
    const timer = setTimeout(end, SETTLED_MS);
    // From the first move of the reader on, the page is theirs.
    for (const event of ["wheel", "touchstart", "keydown"]) addEventListener(event, end, { once: true, passive: true });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [section, data]);
}
