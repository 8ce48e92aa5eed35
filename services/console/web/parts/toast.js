/**
 * Short messages at the edge of the window, read out by screen readers.
 */
import { createStore, cx, html } from "../core/html.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

const SHOWN_MS = 6000;
const SHOWN_MAX = 4;

const messages = createStore([]);
let made = 0;

/**
 * Shows a message for some seconds; errors stay until they are closed.
 * @param {string} text
 * @param {"done"|"error"|"info"} [kind]
 */
export function toast(text, kind = "done") {
  const id = (made += 1);
  messages.set([...messages.get(), { id, text, kind }].slice(-SHOWN_MAX));
  if (kind !== "error") setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id) {
  messages.set(messages.get().filter((each) => each.id !== id));
}

const ICONS = { done: "check", error: "alert", info: "info" };

/** Where they appear: once, in the layout. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${messages.use().map(
      ({ id, text, kind }) => html`<div key=${id} class=${cx("toast", kind)}>
        <${Icon} name=${ICONS[kind]} />
        <p>${text}</p>
        <${Button} kind="quiet" small icon="close" label=${t("common.close")} onClick=${() => dismiss(id)} />
      </div>`,
    )}
  </div>`;
}
