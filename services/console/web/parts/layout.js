/**
 * The frame of the page: bar at the top, navigation at the side, a drawer on phones.
 */
import { cx, html, useEffect, useRef, useState } from "../core/html.js";
import { useLocation } from "../core/router.js";
import { useSession } from "../core/session.js";
import { useSite } from "../core/site.js";
import { t } from "../core/words.js";
import { AccountMenu, LanguageMenu, ThemeMenu, UserMenu } from "./choices.js";
import { Icon } from "./icon.js";
import { Navigation, PublicLinks } from "./navigation.js";

/** @param {{route: object|undefined, children: unknown}} props */
export function Layout({ route, children }) {
  const session = useSession();
  const { name } = useSite();
  const { path } = useLocation();
  const [open, setOpen] = useState(false);
  const main = useRef(null);
  const opener = useRef(null);
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    if (!open) return undefined;
    const escape = (event) => event.key === "Escape" && close();
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, [open]);
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  const bare = !session;
  return html`<div class=${cx("shell", bare && "bare", open && "drawer-open")}>
    <button type="button" class="skip" onClick=${() => main.current.focus()}>${t("nav.skip")}</button>
    <header class="top">
      <button ref=${opener} type="button" class="button quiet only-icon drawer-button" aria-label=${t("nav.menu")} aria-expanded=${open ? "true" : "false"} aria-controls="side" onClick=${() => setOpen(!open)}>
        <${Icon} name=${open ? "close" : "menu"} />
      </button>
      <a class="brand" href="#/" aria-label=${t("nav.home")}><${Mark} /><span>${name}</span></a>
      ${session ? html`<${AccountMenu} />` : html`<nav class="top-links" aria-label=${t("nav.public")}><${PublicLinks} /></nav>`}
      <span class="grow"></span>
      <span class="top-choices"><${LanguageMenu} /><${ThemeMenu} /></span>
      ${session ? html`<${UserMenu} />` : html`<a class="button primary small sign-in" href="#/sign-in">${t("nav.sign_in")}</a>`}
    </header>
    <div class="drawer-shade" onClick=${close}></div>
    <aside id="side" class="side">
      <${Navigation} route=${route} />
      <div class="side-choices"><${LanguageMenu} words /><${ThemeMenu} words /></div>
    </aside>
    <main id="main" ref=${main} tabindex="-1" inert=${open}>${children}</main>
  </div>`;
}

/** Lines that meet: many in, one out. */
function Mark() {
  return html`<svg class="mark" width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M7 11h18M16 11v14M11 11c0 4 5 4 5 8M21 11c0 4-5 4-5 8" />
  </svg>`;
}
