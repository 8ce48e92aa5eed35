/**
 * The pages of the documentation, in the order in which they are read; their texts are docs/<language>/<name>.md.
 */

/** Pages by chapter; the words of a chapter are `docs.chapter.<name>`, those of a page `docs.page.<name>`. */
export const CHAPTERS = [
  { name: "begin", pages: ["index", "quick-start"] },
  { name: "apis", pages: ["openai", "anthropic", "gemini"] },
  { name: "use", pages: ["fallbacks", "limits-and-errors", "billing", "clients", "privacy"] },
  { name: "move", pages: ["migrate-from-provider", "migrate-from-litellm", "migrate-from-new-api"] },
];

export const PAGES = CHAPTERS.flatMap((chapter) => chapter.pages);

/** The page that is shown where none is named. */
export const FIRST = "index";

/**
 * The address of a page, or of a section in it.
 * @param {string} page
 * @param {string} [section]
 */
export function addressOf(page, section = "") {
  const address = page === FIRST ? "#/docs" : `#/docs/${page}`;
  return section && section !== "top" ? `${address}?at=${section}` : address;
}

/**
 * A link between the files as an address of the console; null for one that leads elsewhere.
 * @param {string} href such as `billing.md#sums`
 * @param {string} page on which it stands
 */
export function addressOfLink(href, page) {
  const [file, section] = href.split("#");
  if (href.startsWith("#/")) return href;
  if (href.startsWith("#")) return addressOf(page, section);
  if (file.endsWith(".md")) return addressOf(file.slice(0, -3), section);
  // The status page is the console's, too, and opens in its place.
  return href === "status" ? href : null;
}
