/**
 * All text of the page, by key, in the reader's language.
 *
 * A value is a text with `{names}`, or an object of such texts by plural category, chosen by the parameter `count`.
 */
import { createStore, html } from "./html.js";
import { recall, remember } from "./memory.js";

/** Languages by their file, each in its own words. */
export const LANGUAGES = { en: "English", zh: "简体中文" };
const TAGS = { en: "en", zh: "zh-CN" };

const current = createStore({ language: "en", words: {}, plurals: new Intl.PluralRules("en") });

/** The language of now, as `en`. */
export const language = () => current.get().language;

/** The language as Intl takes it. */
export const locale = () => TAGS[current.get().language];

/** In a component: drawn anew when the language changes. */
export const useLanguage = () => current.use().language;

function preferred() {
  const chosen = recall("language");
  if (chosen in LANGUAGES) return chosen;
  const tag = navigator.languages.find((each) => each.slice(0, 2).toLowerCase() in LANGUAGES);
  return tag ? tag.slice(0, 2).toLowerCase() : "en";
}

/** Loads the language of the browser, or the one chosen here before. */
export const loadWords = () => load(preferred());

/**
 * Changes the language, here and for later visits.
 * @param {"en"|"zh"} language
 */
export async function setLanguage(language) {
  remember("language", language);
  await load(language);
}

/**
 * Takes the language of whoever has signed in, unless another one was chosen in this browser.
 * @param {string|null|undefined} language
 */
export async function followLanguage(language) {
  if (language in LANGUAGES && language !== current.get().language && recall("language") === null) await load(language);
}

async function load(language) {
  const answer = await fetch(new URL(`../words/${language}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`words of ${language}: ${answer.status}`);
  const words = await answer.json();
  document.documentElement.lang = TAGS[language];
  current.set({ language, words, plurals: new Intl.PluralRules(TAGS[language]) });
}

function pattern(key, params) {
  const { words, plurals } = current.get();
  const found = words[key];
  if (found === undefined) {
    console.error(`no words for ${key}`);
    return key;
  }
  return typeof found === "string" ? found : (found[plurals.select(params.count)] ?? found.other);
}

function shown(value) {
  return typeof value === "number" || typeof value === "bigint" ? value.toLocaleString(locale()) : value;
}

/**
 * The words of a key.
 * @param {string} key
 * @param {Record<string, string|number|bigint>} [params]
 * @returns {string}
 */
export function t(key, params = {}) {
  return pattern(key, params).replace(/\{(\w+)\}/g, (whole, name) => (name in params ? shown(params[name]) : whole));
}

/**
 * The same with elements inside: `rich("keys.see", { link: html`<a …>…</a>` })`.
 * @param {string} key
 * @param {Record<string, unknown>} params
 */
export function rich(key, params) {
  const parts = pattern(key, params).split(/\{(\w+)\}/);
  return html`<span>${parts.map((part, at) => (at % 2 ? shown(params[part]) : part))}</span>`;
}

/**
 * Whether there are words of a key: for names that come from the server and may be newer than this page.
 * @param {string} key
 */
export const known = (key) => key in current.get().words;
