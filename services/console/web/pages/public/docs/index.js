/**
 * The index at the side: chapters, pages, and the sections of the page that is read; and the way to the next page.
 */
import { cx, html, useEffect, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { addressOf, CHAPTERS, PAGES } from "./pages.js";

/**
 * @param {{page: string, sections: {id: string, text: string}[], onSection: (id: string) => void}} props
 *   onSection: a section was clicked, perhaps the one that the address names already
 */
export function Index({ page, sections, onSection }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [page]);
  return html`<nav class=${cx("docs-index", open && "open")} aria-label=${t("docs.index")}>
    <${Button} class="docs-index-button" icon="menu" aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}>${t("docs.all_pages")}</${Button}>
    <div class="docs-index-list">
      ${CHAPTERS.map(
        ({ name, pages }) => html`<div key=${name}>
          <h2>${t(`docs.chapter.${name}`)}</h2>
          <ul>
            ${pages.map(
              (each) => html`<li key=${each}>
                <a href=${addressOf(each)} class=${cx(each === page && "current")} aria-current=${each === page ? "page" : undefined}>${t(`docs.page.${each}`)}</a>
                ${each === page && html`<${Sections} page=${page} sections=${sections} onSection=${(id) => { setOpen(false); onSection(id); }} />`}
              </li>`,
            )}
          </ul>
        </div>`,
      )}
    </div>
  </nav>`;
}

function Sections({ page, sections, onSection }) {
  if (!sections.length) return null;
  return html`<ul class="docs-sections">
    ${sections.map(({ id, text }) => html`<li key=${id}><a href=${addressOf(page, id)} onClick=${() => onSection(id)}>${text}</a></li>`)}
  </ul>`;
}

/** @param {{page: string}} props links to the page before and the one behind */
export function Turn({ page }) {
  const here = PAGES.indexOf(page);
  const [before, behind] = [PAGES[here - 1], PAGES[here + 1]];
  return html`<nav class="docs-turn" aria-label=${t("docs.turn")}>
    ${before && html`<a href=${addressOf(before)}><span>${t("docs.previous")}</span><strong>‹ ${t(`docs.page.${before}`)}</strong></a>`}
    ${behind && html`<a class="next" href=${addressOf(behind)}><span>${t("docs.next")}</span><strong>${t(`docs.page.${behind}`)} ›</strong></a>`}
  </nav>`;
}
