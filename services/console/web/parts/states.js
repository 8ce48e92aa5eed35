/**
 * In place of a page: there is none, one may not see it, or it broke.
 */
import { html } from "../core/html.js";
import { ApiError } from "../core/api.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { Empty, errorText } from "./notice.js";
import { PageHeader } from "./page.js";

function State({ title, icon, text, action }) {
  return html`<div class="state">
    <${PageHeader} title=${title} />
    <${Empty} icon=${icon} title=${text} action=${action} />
  </div>`;
}

export function NotFound() {
  const action = html`<${Button} href="#/">${t("common.to_start")}</${Button}>`;
  return html`<${State} title=${t("common.not_found")} icon="search" text=${t("common.not_found_text")} action=${action} />`;
}

export function NoAccess() {
  const action = html`<${Button} href="#/">${t("common.to_start")}</${Button}>`;
  return html`<${State} title=${t("common.no_access")} icon="lock" text=${t("common.no_access_text")} action=${action} />`;
}

/** @param {{error: Error}} props */
export function Broken({ error }) {
  const text = error instanceof ApiError ? errorText(error) : t("common.broken");
  return html`<${State} title=${t("common.did_not_work")} icon="alert" text=${text} action=${reload()} />`;
}

/** The console has another version than this page. */
export function Outdated() {
  return html`<${State} title=${t("common.updated")} icon="refresh" text=${t("common.updated_text")} action=${reload()} />`;
}

function reload() {
  return html`<${Button} icon="refresh" onClick=${() => location.reload()}>${t("common.reload")}</${Button}>`;
}
