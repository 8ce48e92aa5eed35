/**
 * Style sheets and classic scripts of single pages and parts, loaded when they are first needed.
 */
const asked = new Map();

function append(file, element) {
  if (!asked.has(file)) {
    const arrived = new Promise((resolve, reject) => {
      element.onload = () => resolve();
      element.onerror = () => reject(new Error(`${file} did not load`));
    });
    asked.set(file, arrived);
    document.head.append(element);
  }
  return asked.get(file);
}

const address = (file) => new URL(`../${file}`, import.meta.url).href;

/**
 * @param {string} file within the folder of the page, such as `styles/usage.css`
 * @returns {Promise<void>} when it is in force; a page without it is still a page
 */
export function loadStyle(file) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: address(file) });
  return append(file, link).catch((error) => console.error(error));
}

/**
 * A script that is no module, and defines a global.
 * @param {string} file such as `vendor/uplot.js`
 * @returns {Promise<void>} when it has run
 */
export function loadScript(file) {
  return append(file, Object.assign(document.createElement("script"), { src: address(file) }));
}
