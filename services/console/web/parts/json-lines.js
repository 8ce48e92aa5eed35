/**
 * On which line each member of a JSON text stands, and on which one the text stops to be JSON.
 */
const BLANK = /\s*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * @param {string} text
 * @returns {{places: Map<string, number>, broken: number|null}} places: by the names that the API has for them, `a.b[0]`; broken:
 *   the line of the first fault
 */
export function linesOf(text) {
  const places = new Map();
  let at = 0;
  const line = () => text.slice(0, at).split("\n").length;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return null;
    at += found[0].length;
    return found[0];
  };
  const fail = () => {
    throw new SyntaxError();
  };
  const take = (mark) => {
    match(BLANK);
    if (text[at] !== mark) return false;
    at += 1;
    return true;
  };
  const members = (end, member) => {
    if (take(end)) return;
    do member();
    while (take(","));
    if (!take(end)) fail();
  };
  const value = (place) => {
    match(BLANK);
    if (take("{")) {
      members("}", () => {
        match(BLANK);
        const here = line();
        const name = match(STRING) ?? fail();
        const inside = place ? `${place}.${JSON.parse(name)}` : JSON.parse(name);
        places.set(inside, here);
        if (!take(":")) fail();
        value(inside);
      });
    } else if (take("[")) {
      let number = 0;
      members("]", () => {
        match(BLANK);
        places.set(`${place}[${number}]`, line());
        value(`${place}[${number}]`);
        number += 1;
      });
    } else if (match(STRING) === null && match(SCALAR) === null) {
      fail();
    }
  };
  try {
    value("");
    match(BLANK);
    return { places, broken: at < text.length ? line() : null };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof RangeError)) throw error;
    return { places, broken: line() };
  }
}
