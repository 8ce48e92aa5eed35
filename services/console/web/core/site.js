/**
 * What everybody may know of the site before they sign in: `{name, features: {registration, …}, …}`, and who is signed in.
 */
import { api } from "./api.js";
import { createStore } from "./html.js";

const site = createStore({ name: "Trunkline", features: {} });

/** In a component. */
export const useSite = site.use;

/**
 * Asks the server, once at the start. Who is not signed in gets no error by it: it would stand in the browser's console.
 * @returns {Promise<object|null>} who is signed in, for `takeSession` of core/session.js
 */
export async function loadSite() {
  const { session, ...found } = await api.get("site", {}, { quiet: true });
  site.set(found);
  return session;
}
