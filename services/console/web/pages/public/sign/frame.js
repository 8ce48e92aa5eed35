/**
 * The narrow card of the pages before one is signed in.
 */
import { api } from "../../../core/api.js";
import { html, useRef } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { useFocusOnArrival, useTitle } from "../../../core/router.js";
import { loadStyle } from "../../../core/styles.js";
import { Card } from "../../../parts/page.js";

await loadStyle("styles/sign.css");

/** In a component: what the site offers before one is signed in, as `GET site` says; see `useLoad`. */
export const useSite = () => useLoad((signal) => api.get("site", {}, { signal }), []);

/**
 * @param {{title: string, text?: unknown, foot?: unknown, children: unknown}} props foot: links under the card
 */
export function Sign({ title, text, foot, children }) {
  const heading = useRef(null);
  useTitle(title);
  useFocusOnArrival(heading);
  return html`<div class="sign">
    <header class="sign-head">
      <h1 ref=${heading} tabindex="-1">${title}</h1>
      ${text && html`<p>${text}</p>`}
    </header>
    <${Card}>${children}</${Card}>
    ${foot && html`<nav class="sign-foot" aria-label=${title}>${foot}</nav>`}
  </div>`;
}
