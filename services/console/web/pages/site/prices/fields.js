/**
 * Prices by kind of unit in a form: the usual kinds, and others that are added.
 */
import { html, useId, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { DateTimeField, MoneyField, moneyFault } from "../../../parts/fields.js";
import { kindName } from "../../models/prices.js";
import { OTHERS, VARIANT } from "./units.js";

const OF_A_SIZE = "images@";

/** For a form's `check`. @param {Record<string, string|null>} price */
export const priceFaults = (price, prefix = "price") => Object.fromEntries(Object.entries(price ?? {}).map(([kind, text]) => [`${prefix}.${kind}`, moneyFault(text)]));

/** @param {{form: object, prefix?: string, placeholders?: Record<string, string>}} props placeholders: by kind, what holds if nothing is said */
export function PriceFields({ form, prefix = "price", placeholders = {} }) {
  const kinds = Object.keys(form.get(prefix) ?? {});
  return html`<div class="form-row price-fields">
      ${kinds.map((kind) => html`<${MoneyField} key=${kind} form=${form} name=${`${prefix}.${kind}`} label=${kindName(kind)} placeholder=${placeholders[kind]} />`)}
    </div>
    <${AddKind} kinds=${kinds} onAdd=${(kind) => form.set(`${prefix}.${kind}`, null)} />`;
}

function AddKind({ kinds, onAdd }) {
  const id = useId("kind");
  const [kind, setKind] = useState("");
  const [variant, setVariant] = useState("");
  const left = OTHERS.filter((each) => !kinds.includes(each));
  const chosen = kind === OF_A_SIZE ? `${VARIANT}${variant.trim().toLowerCase()}` : kind;
  const fits = kind && !kinds.includes(chosen) && (kind !== OF_A_SIZE || /^[a-z0-9][a-z0-9_:/-]*$/.test(variant.trim().toLowerCase()));
  const add = () => {
    onAdd(chosen);
    setKind("");
    setVariant("");
  };
  return html`<div class="price-add">
    <label for=${id}>${t("pricing.other_kind")}</label>
    <select id=${id} class="input" value=${kind} onChange=${(event) => setKind(event.target.value)}>
      <option value=""></option>
      ${left.map((each) => html`<option key=${each} value=${each} selected=${each === kind}>${kindName(each)}</option>`)}
      <option value=${OF_A_SIZE} selected=${kind === OF_A_SIZE}>${t("pricing.image_of_size")}</option>
    </select>
    ${kind === OF_A_SIZE && html`<input class="input" aria-label=${t("pricing.variant")} placeholder="1024x1024/high" spellcheck=${false} value=${variant} onInput=${(event) => setVariant(event.target.value)} />`}
    <${Button} icon="plus" disabled=${!fits} onClick=${add}>${t("pricing.add_kind")}</${Button}>
  </div>`;
}

/** From when on. @param {{form: object}} props */
export const FromField = ({ form }) =>
  html`<${DateTimeField} form=${form} name="effective_from" label=${t("pricing.from")} help=${t("pricing.from_help")} min=${new Date().toISOString()} />`;
