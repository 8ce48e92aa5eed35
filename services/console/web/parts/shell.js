/**
 * Around every page: finds it by the address, sees whether the reader may, loads it, and stands by if it breaks.
 */
import { cx, html, useEffect, useErrorBoundary, useRef, useState } from "../core/html.js";
import { scopeOf } from "../core/access.js";
import { match, navigate, path, useLocation } from "../core/router.js";
import { chooseAccount, useAccount, useSession } from "../core/session.js";
import { useLanguage } from "../core/words.js";
import { ROUTES } from "../routes.js";
import { Announcements } from "./announcements.js";
import { Confirmations } from "./dialog.js";
import { Layout } from "./layout.js";
import { Skeleton } from "./notice.js";
import { Broken, NoAccess, NotFound, Outdated } from "./states.js";
import { Toasts } from "./toast.js";

const PATIENCE_MS = 200;

const loaded = new Map();

/** @param {{problem: Error|null}} props problem: why it is not known who is signed in */
export function Shell({ problem }) {
  useLanguage();
  const { path: here, query } = useLocation();
  const found = match(ROUTES, here);
  return html`<${Layout} route=${found?.route}>
      <${Announcements} />
      ${problem ? html`<${Broken} error=${problem} />` : html`<${Place} key=${here} here=${here} found=${found} query=${query} />`}
    </${Layout}>
    <${Confirmations} /><${Toasts} />`;
}

function Place({ here, found, query }) {
  const session = useSession();
  const account = useAccount();
  const name = found?.params.account;
  const home = here === "/" && session;
  const stranger = found && found.route.access !== "public" && !session;
  useEffect(() => {
    if (home) navigate(homeOf(session, account), { replace: true });
    else if (stranger) navigate(`/sign-in?to=${encodeURIComponent(path())}`, { replace: true });
    else if (name) chooseAccount(name);
  }, [home, stranger, name]);
  if (home || stranger) return null;
  if (!found) return html`<${NotFound} />`;
  if (scopeOf(session, found.route.access, name) === null) return html`<${NoAccess} />`;
  return html`<${Guarded} route=${found.route} params=${found.params} query=${query} />`;
}

/** Where one begins after a sign-in. */
function homeOf(session, account) {
  if (session.accounts.length === 0) return session.login.operator ? "/site/live" : "/me";
  return `/a/${encodeURIComponent(account)}/overview`;
}

function Guarded(props) {
  const [error] = useErrorBoundary((problem) => console.error(problem));
  return error ? html`<${Broken} error=${error} />` : html`<${Page} ...${props} />`;
}

function Page({ route, params, query }) {
  const [page, setPage] = useState(loaded.get(route.module));
  const [patient, setPatient] = useState(true);
  const alive = useRef(true);
  useEffect(() => {
    if (page) return undefined;
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS);
    open(route.module).then((found) => alive.current && setPage(found));
    return () => {
      alive.current = false;
      clearTimeout(timer);
    };
  }, []);
  if (!page) return html`<div class=${cx(patient && "unseen")}><${Skeleton} lines=${6} /></div>`;
  if (page.missing) return html`<${NotFound} />`;
  if (page.outdated) return html`<${Outdated} />`;
  if (page.error) return html`<${Broken} error=${page.error} />`;
  return html`<${page.component} params=${params} query=${query} />`;
}

/** A page's module; what went wrong is not kept, so that the next visit tries again. */
async function open(module) {
  const url = new URL(`../pages/${module}.js`, import.meta.url);
  try {
    const found = { component: (await import(url)).default };
    loaded.set(module, found);
    return found;
  } catch (error) {
    const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
    if (answer?.status !== 404) console.error(error);
    else if (await isNewest()) return { missing: true };
    else return { outdated: true };
    return { error };
  }
}

/** Whether the server's page is still the one that this one is of: its files are under another address otherwise. */
async function isNewest() {
  const [, version] = /assets\/([^/]+)\//.exec(import.meta.url);
  const page = await fetch("./", { cache: "no-store" }).then((answer) => answer.text(), () => version);
  return page.includes(version);
}
