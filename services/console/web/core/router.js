/**
 * Which page is shown: the address after `#`, such as `#/a/lab/keys?state=blocked`. It works behind any path prefix.
 */
import { createStore, useEffect } from "./html.js";
import { useSite } from "./site.js";

const here = createStore(read());
let focusWanted = false;

function read() {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  return { path: path || "/", query: new URLSearchParams(query) };
}

addEventListener("hashchange", () => {
  const before = here.get().path;
  const next = read();
  if (next.path !== before) {
    focusWanted = true;
    scrollTo(0, 0);
  }
  here.set(next);
});

/** In a component: `{path, query}` of now. */
export const useLocation = here.use;

/** The address of now after `#`, with its query. */
export const path = () => location.hash.slice(1) || "/";

/**
 * A link's address, with names escaped: to`/a/${account}/keys`.
 * @param {TemplateStringsArray} strings
 * @param {...(string|number)} names
 */
export const to = (strings, ...names) => `#${strings.reduce((all, piece, at) => all + encodeURIComponent(names[at - 1]) + piece)}`;

/**
 * Goes to a page.
 * @param {string} target `/a/lab/keys`, or the result of `to`
 * @param {{replace?: boolean}} [how] replace: Back does not return here
 */
export function navigate(target, { replace = false } = {}) {
  const address = target.startsWith("#") ? target : `#${target}`;
  if (replace) location.replace(address);
  else location.hash = address;
}

/**
 * A value that is kept in the address, so that it can be linked to and Back works: `const [state, setState] = useQuery("state", "all")`.
 * @param {string} name
 * @param {string} [initial]
 * @returns {[string, (value: string|null) => void]}
 */
export function useQuery(name, initial = "") {
  const { query } = here.use();
  return [query.get(name) ?? initial, (value) => setQuery({ [name]: value === initial ? null : value })];
}

/**
 * Changes values in the address without a step for Back.
 * @param {Record<string, string|null|undefined>} values null and "" take one away
 */
export function setQuery(values) {
  const { path: page, query } = read();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  navigate(text ? `${page}?${text}` : page, { replace: true });
}

/**
 * The route of a path, and the names in it.
 * @param {{path: string}[]} routes
 * @param {string} path
 * @returns {{route: object, params: Record<string, string>}|null}
 */
export function match(routes, path) {
  const parts = path.split("/");
  for (const route of routes) {
    const wanted = route.path.split("/");
    if (wanted.length !== parts.length) continue;
    const params = {};
    const same = wanted.every((piece, index) => {
      if (!piece.startsWith(":")) return piece === parts[index];
      try {
        params[piece.slice(1)] = decodeURIComponent(parts[index]);
      } catch {
        return false; // A lone %: no address of ours.
      }
      return parts[index] !== "";
    });
    if (same) return { route, params };
  }
  return null;
}

/**
 * Gives the focus to a page's heading once it is there, after a navigation: readers of the screen hear where they are.
 * @param {{current: HTMLElement|null}} ref
 */
export function useFocusOnArrival(ref) {
  useEffect(() => {
    if (!focusWanted || !ref.current) return;
    focusWanted = false;
    ref.current.focus({ preventScroll: true });
  }, []);
}

/**
 * The title of the browser's tab.
 * @param {string} title
 */
export function useTitle(title) {
  const { name } = useSite();
  useEffect(() => {
    document.title = title ? `${title} · ${name}` : name;
  }, [title, name]);
}
