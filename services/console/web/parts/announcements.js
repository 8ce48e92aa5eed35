/**
 * What the site's operators tell everybody: a line above every page, until it is read.
 */
import { api } from "../core/api.js";
import { createStore, html, useEffect, useState } from "../core/html.js";
import { recall, remember } from "../core/memory.js";
import { useSession } from "../core/session.js";
import { t, useLanguage } from "../core/words.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

const REMEMBERED_MAX = 100;
const FRESH_MS = 5 * 60_000;
const KINDS = { info: "info", warning: "warning", critical: "error" };

/** Ids of those that were closed in this browser. */
const closed = createStore((recall("announcements") ?? "").split(",").filter(Boolean));
const current = createStore({ of: null, at: 0, list: [] });

function close(id) {
  const ids = [...closed.get(), String(id)].slice(-REMEMBERED_MAX);
  remember("announcements", ids.join(","));
  closed.set(ids);
}

/** In a component: what is announced now, in the reader's language; read again after some minutes, on the next page. */
export function useAnnouncements() {
  const language = useLanguage();
  const login = useSession()?.login.name ?? "";
  const known = current.use();
  const of = `${language} ${login}`;
  useEffect(() => {
    const { of: before, at } = current.get();
    if (before === of && Date.now() - at < FRESH_MS) return;
    current.set({ of, at: Date.now(), list: before === of ? current.get().list : [] });
    const keep = (list) => current.get().of === of && current.set({ ...current.get(), list });
    // The page does without them: it is no place to complain that they cannot be read.
    api.get("announcements/current", { language }, { quiet: true }).then(keep, () => {});
  });
  return known.list;
}

/** Above the content of every page. */
export function Announcements() {
  const read = closed.use();
  const shown = useAnnouncements().filter(({ id }) => !read.includes(String(id)));
  const [first, ...others] = shown;
  if (!first) return null;
  return html`<section class="banner" aria-label=${t("banner.label")}>
    <${Announcement} key=${first.id} announcement=${first} onClose=${() => close(first.id)} />
    ${others.length > 0 && html`<p class="banner-more quiet">${t("banner.more", { count: others.length })}</p>`}
  </section>`;
}

/** @param {{announcement: object, onClose?: () => void}} props */
export function Announcement({ announcement: { level, language, text }, onClose }) {
  const [Markdown, setMarkdown] = useState(null);
  // Most visits have nothing to announce, and need no renderer.
  useEffect(() => void import("./markdown.js").then((module) => setMarkdown(() => module.Markdown)), []);
  return html`<div class=${`notice ${KINDS[level] ?? "info"}`} lang=${language}>
    <${Icon} name=${level === "info" ? "megaphone" : "alert"} />
    <div class="notice-text">${Markdown && html`<${Markdown} text=${text} />`}</div>
    ${onClose && html`<${Button} kind="quiet" small icon="close" label=${t("common.close")} onClick=${onClose} />`}
  </div>`;
}
