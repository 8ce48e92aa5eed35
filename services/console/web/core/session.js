/**
 * Who is signed in: from `GET site` at the start, from `GET session` later, `{login: {name, email, operator, language}, accounts: [{name, role, user}],
 * csrf, features}`; null when nobody is.
 */
import { scopeOf } from "./access.js";
import { ApiError, api, configure } from "./api.js";
import { createStore } from "./html.js";
import { recall, remember } from "./memory.js";
import { navigate, path } from "./router.js";
import { followLanguage } from "./words.js";

const session = createStore(null);
const account = createStore(recall("account"));

/** In a component: the session, or null. */
export const useSession = session.use;

/** Outside of components. */
export const currentSession = session.get;

/**
 * Takes in who is signed in.
 * @param {object|null} found as `GET session` has it
 */
export function takeSession(found) {
  configure(found?.csrf ?? "", expired);
  session.set(found);
}

/** Asks the server who is signed in: after a sign-in, or where one's own login has changed. */
export async function loadSession() {
  try {
    takeSession(await api.get("session", {}, { quiet: true }));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    takeSession(null);
  }
}

function expired() {
  configure("");
  session.set(null);
  const here = path();
  if (!here.startsWith("/sign-in")) navigate(`/sign-in?to=${encodeURIComponent(here)}`, { replace: true });
}

/**
 * To be called when a sign-in has succeeded: goes to where one was, or to the first page.
 * @param {string|null} [to] from the query of the sign-in page
 */
export async function signedIn(to = null) {
  await loadSession();
  await followLanguage(session.get()?.login.language);
  navigate(to?.startsWith("/") ? to : "/", { replace: true });
}

/** Ends the session, here and at the server. */
export async function signOut() {
  await api.delete("session");
  configure("");
  session.set(null);
  navigate("/sign-in");
}

/**
 * In a component: whether, and how far, the session reaches: `useScope("keys_write", account)`.
 * @param {string} access
 * @param {string} [accountName]
 * @returns {"all"|"own"|null}
 */
export const useScope = (access, accountName) => scopeOf(session.use(), access, accountName);

/** In a component: the account that was looked at last, or the first one; null without any. */
export function useAccount() {
  const chosen = account.use();
  const found = session.use();
  if (!found) return null;
  if (chosen && (found.login.operator || found.accounts.some((each) => each.name === chosen))) return chosen;
  return found.accounts[0]?.name ?? null;
}

/** @param {string} name of the account whose pages are looked at */
export function chooseAccount(name) {
  if (account.get() === name) return;
  remember("account", name);
  account.set(name);
}
