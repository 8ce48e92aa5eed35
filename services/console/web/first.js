// Runs before anything is painted: a chosen theme and language hold from the first frame on.
(() => {
  const root = document.documentElement;
  const stored = (name) => {
    try {
      return localStorage.getItem(`trunkline.${name}`);
    } catch {
      return null; // The browser keeps nothing for this site.
    }
  };
  const theme = stored("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const wanted = [stored("language"), ...navigator.languages].find((tag) => /^(en|zh)\b/i.test(tag ?? ""));
  root.lang = /^zh/i.test(wanted ?? "en") ? "zh-CN" : "en";
})();
