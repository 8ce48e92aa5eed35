/**
 * What stands in the place of a page's content, or above it: errors, hints, nothing there yet, and what still loads.
 */
import { ApiError } from "../core/api.js";
import { cx, html } from "../core/html.js";
import { known, language, t } from "../core/words.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

const ICONS = { error: "alert", warning: "alert", info: "info", done: "check" };

/**
 * @param {{kind?: "error"|"warning"|"info"|"done", title?: string, onClose?: () => void, children?: unknown}} props onClose:
 *   with a button that closes it
 */
export function Notice({ kind = "info", title, onClose, children }) {
  return html`<div class=${cx("notice", kind)} role=${kind === "error" ? "alert" : undefined}>
    <${Icon} name=${ICONS[kind]} />
    <div class="notice-text">${title && html`<strong>${title}</strong>`}${children}</div>
    ${onClose && html`<${Button} kind="quiet" small icon="close" label=${t("common.close")} onClick=${onClose} />`}
  </div>`;
}

/**
 * The sentence for an error of any kind. The API's are English: to readers of another language at least the kind of the
 * error is said in theirs.
 * @param {Error} error
 * @returns {string}
 */
export function errorText(error) {
  if (error instanceof ApiError && error.status !== 0) {
    const kind = `errors.${error.type}`;
    return language() !== "en" && known(kind) ? t("errors.told", { kind: t(kind), sentence: error.message }) : error.message;
  }
  return error instanceof ApiError ? t("common.unreachable") : t("common.broken");
}

/**
 * An error, with every fault that the API names.
 * @param {{error: Error|null, faults?: string[], retry?: () => void}} props faults: those to be shown, all if left out
 */
export function ErrorNotice({ error, faults = error?.faults ?? [], retry }) {
  if (!error) return null;
  return html`<${Notice} kind="error">
    <p>${errorText(error)}</p>
    ${faults.length > 0 && html`<ul>${faults.map((fault) => html`<li>${fault}</li>`)}</ul>`}
    ${retry && html`<p><${Button} small icon="refresh" onClick=${retry}>${t("common.retry")}</${Button}></p>`}
  </${Notice}>`;
}

/**
 * Where there is nothing yet: says what to do next.
 * @param {{icon?: string, title: string, children?: unknown, action?: unknown}} props action: a button
 */
export function Empty({ icon = "inbox", title, children, action }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} size=${26} /></span>
    <p class="empty-title">${title}</p>
    ${children && html`<div class="empty-text">${children}</div>`}
    ${action && html`<div class="empty-action">${action}</div>`}
  </div>`;
}

/** @param {{lines?: number}} props grey lines in place of what still loads */
export function Skeleton({ lines = 3 }) {
  return html`<div class="skeleton" role="status" aria-label=${t("common.loading")}>
    ${Array.from({ length: lines }, (_, at) => html`<span key=${at}></span>`)}
  </div>`;
}

/**
 * What `useLoad` reads: grey while it comes, the error, or the content: html`<${Loaded} of=${load}>${(data) => …}</${Loaded}>`.
 * @param {{of: ReturnType<import("../core/load.js").useLoad>, lines?: number, children: (data: any) => unknown}} props
 */
export function Loaded({ of, lines = 4, children }) {
  if (of.data === undefined) return of.error ? html`<${ErrorNotice} error=${of.error} retry=${of.reload} />` : html`<${Skeleton} lines=${lines} />`;
  return html`${of.error && html`<${ErrorNotice} error=${of.error} retry=${of.reload} />`}${[children].flat()[0](of.data)}`;
}
