/**
 * What one can go to: the pages of routes.js that the reader may see.
 */
import { cx, html, useEffect, useRef } from "../core/html.js";
import { scopeOf } from "../core/access.js";
import { useAccount, useSession } from "../core/session.js";
import { t } from "../core/words.js";
import { GROUPS, ROUTES } from "../routes.js";
import { Icon } from "./icon.js";

/** @param {{route: object|undefined}} props the page that is shown */
export function Navigation({ route }) {
  const session = useSession();
  const account = useAccount();
  return html`<nav class="nav" aria-label=${t("nav.main")}>
    ${GROUPS.map((group) => {
      const pages = ROUTES.filter((each) => each.group === group && visible(each, session, account));
      if (!pages.length) return null;
      return html`<div key=${group} class="nav-group">
        <h2>${t(`nav.group.${group}`)}</h2>
        <ul>
          ${pages.map((each) => html`<${Entry} key=${each.path} page=${each} account=${account} current=${isCurrent(each, route)} />`)}
          ${group === "public" && html`<li><a class="nav-entry" href="status"><${Icon} name="status" />${t("nav.status")}</a></li>`}
        </ul>
      </div>`;
    })}
  </nav>`;
}

function visible(page, session, account) {
  if (page.path.includes(":account") && !account) return false;
  return scopeOf(session, page.access, account) !== null;
}

/** A page of one thing belongs to the list that it is in. */
function isCurrent(page, route) {
  return Boolean(route) && (route.path === page.path || route.path.startsWith(`${page.path}/`));
}

function Entry({ page, account, current }) {
  const href = `#${page.path.replace(":account", encodeURIComponent(account ?? ""))}`;
  const link = useRef(null);
  useEffect(() => {
    if (current) link.current.scrollIntoView({ block: "nearest" });
  }, [current]);
  return html`<li>
    <a ref=${link} class=${cx("nav-entry", current && "current")} href=${href} aria-current=${current ? "page" : undefined}><${Icon} name=${page.icon} />${t(page.title)}</a>
  </li>`;
}

/** For readers who are not signed in, in the bar at the top. */
export function PublicLinks() {
  return html`${ROUTES.filter((each) => each.group === "public").map((each) => html`<a key=${each.path} href=${`#${each.path}`}>${t(each.title)}</a>`)}
    <a href="status">${t("nav.status")}</a>`;
}
