/**
 * Chooses a model: a button that opens a list with a search, the price of each beside it.
 */
import { cx, html, useEffect, useId, useRef, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Icon } from "../../../parts/icon.js";
import { place } from "../../../parts/place.js";
import { priceLine } from "../../models/prices.js";

/**
 * @param {{label: string, models: any[], value: string, onChange: (name: string) => void}} props
 */
export function ModelPicker({ label, models, value, onChange }) {
  const id = useId("models");
  const opener = useRef(null);
  const list = useRef(null);
  const search = useRef(null);
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [active, setActive] = useState(0);
  const wanted = typed.trim().toLowerCase();
  const found = models.filter((model) => `${model.name} ${model.owned_by}`.toLowerCase().includes(wanted));

  useEffect(() => {
    const popover = list.current;
    const toggled = (event) => setOpen(event.newState === "open");
    popover.addEventListener("toggle", toggled);
    return () => popover.removeEventListener("toggle", toggled);
  }, []);
  useEffect(() => {
    if (open) list.current.querySelector(".active")?.scrollIntoView({ block: "nearest" });
  }, [open, active]);

  const toggle = () => {
    setTyped("");
    setActive(Math.max(0, models.findIndex((model) => model.name === value)));
    list.current.togglePopover();
    if (!list.current.matches(":popover-open")) return;
    place(list.current, opener.current);
    // At once: what is typed next is a name.
    search.current.focus();
  };
  const take = (name) => {
    onChange(name);
    list.current.hidePopover();
    opener.current.focus();
  };
  const key = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && found[active]) take(found[active].name);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setActive((active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % Math.max(1, found.length));
    } else if (event.key === "Tab") list.current.hidePopover();
    else return;
    if (event.key !== "Tab") event.preventDefault();
  };
  return html`<span class="play-picker">
    <button type="button" ref=${opener} class="button play-model" aria-haspopup="listbox" aria-expanded=${open ? "true" : "false"} aria-controls=${id} aria-label=${`${label}: ${value || t("playground.no_model")}`} onClick=${toggle}>
      <${Icon} name="model" size=${16} />
      <span class="play-model-name">${value || t("playground.no_model")}</span>
      <${Icon} name="chevron" size=${16} />
    </button>
    <div id=${id} ref=${list} popover="auto" class="menu-list play-models">
      <input
        ref=${search}
        class="input"
        role="combobox"
        aria-label=${t("playground.search_models")}
        aria-expanded=${open ? "true" : "false"}
        aria-controls=${`${id}-list`}
        aria-activedescendant=${found[active] ? `${id}-${active}` : undefined}
        autocomplete="off"
        spellcheck=${false}
        placeholder=${t("playground.search_models")}
        value=${typed}
        onInput=${(event) => {
          setTyped(event.target.value);
          setActive(0);
        }}
        onKeyDown=${key}
      />
      <div role="listbox" id=${`${id}-list`} aria-label=${label}>
        ${open &&
        found.map(
          (model, at) => html`<div
            key=${model.name}
            id=${`${id}-${at}`}
            role="option"
            aria-selected=${model.name === value ? "true" : "false"}
            class=${cx("menu-item", at === active && "active")}
            onMouseDown=${(event) => event.preventDefault()}
            onClick=${() => take(model.name)}
          >
            <${Icon} name="check" size=${16} class=${model.name === value ? "" : "unseen"} />
            <span class="menu-label">${model.name}<small>${priceLine(model)}</small></span>
          </div>`,
        )}
      </div>
      ${open && found.length === 0 && html`<p class="play-none quiet">${t("playground.none_found")}</p>`}
    </div>
  </span>`;
}
