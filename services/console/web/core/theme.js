/**
 * Light, dark, or whatever the system has.
 */
import { createStore } from "./html.js";
import { recall, remember } from "./memory.js";

export const THEMES = ["auto", "light", "dark"];

const choice = createStore(THEMES.includes(recall("theme")) ? recall("theme") : "auto");
const drawn = createStore({});

/** The choice, in a component. */
export const useTheme = choice.use;

/** An object that is another one whenever the colours are: for what is drawn on a canvas. */
export const useColours = drawn.use;

/** @param {"auto"|"light"|"dark"} theme */
export function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember("theme", theme === "auto" ? null : theme);
  choice.set(theme);
  drawn.set({});
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.set({}));

/**
 * A token's colour as a canvas takes it.
 * @param {string} token such as `--accent`
 * @returns {string}
 */
export function colourOf(token) {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
