/**
 * The model square: search, filters and cards; the same for an account's people and for the public.
 */
import { html } from "../../core/html.js";
import { setQuery } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Choice, Search } from "../../parts/search.js";
import { ModelCard } from "./card.js";
import { ModelDetail } from "./detail.js";
import { CAPABILITIES, DIALECTS, KINDS, ORDERS, shownModels } from "./filters.js";

await loadStyle("styles/models.css");

const FILTERS = ["search", "kind", "capability", "dialect", "group"];

/**
 * @param {{square: any, query: URLSearchParams, account: string|null, empty: unknown}} props
 */
export function Square({ square, query, account, empty }) {
  const wanted = { order: query.get("order") ?? "name" };
  for (const name of FILTERS) wanted[name] = query.get(name) ?? "";
  const { models, groups } = square;
  if (models.length === 0) return empty;
  const shown = shownModels(models, wanted);
  const open = models.find((model) => model.name === query.get("model"));
  const any = (words, key, values) => [{ value: "", label: t("models.any") }, ...values.map((value) => ({ value, label: key ? t(`models.${key}.${value}`) : value }))];
  const choice = (name, options) => options.length > 2 && html`<${Choice} label=${t(`models.filter.${name}`)} value=${wanted[name]} options=${options} onChange=${(value) => setQuery({ [name]: value })} />`;
  const kinds = KINDS.filter((kind) => models.some((model) => model.kind === kind));
  const abilities = CAPABILITIES.filter((each) => models.some((model) => model.capabilities.includes(each)));
  const spoken = DIALECTS.filter((each) => models.some((model) => model.dialects.some((use) => use.native && use.name === each)));
  const filtered = FILTERS.some((name) => wanted[name]);
  return html`<div class="toolbar model-filters">
      <${Search} label=${t("models.search")} value=${wanted.search} onInput=${(search) => setQuery({ search })} />
      ${choice("kind", any("kind", "makes", kinds))} ${choice("capability", any("capability", "can", abilities))} ${choice("dialect", any("dialect", "dialect", spoken))}
      ${choice("group", any("group", null, groups))}
      <span class="grow"></span>
      <${Choice} label=${t("models.order")} value=${wanted.order} options=${ORDERS.map((value) => ({ value, label: t(`models.order.${value}`) }))} onChange=${(order) => setQuery({ order: order === "name" ? null : order })} />
    </div>
    <p class="quiet" role="status">${t("models.shown", { count: shown.length, all: models.length })}</p>
    ${shown.length === 0
      ? html`<${Empty} icon="search" title=${t("models.none_found")} action=${filtered && html`<${Button} onClick=${() => setQuery(Object.fromEntries(FILTERS.map((name) => [name, null])))}>${t("models.all")}</${Button}>`} />`
      : html`<ul class="model-cards">${shown.map((model) => html`<${ModelCard} key=${model.name} model=${model} onOpen=${() => setQuery({ model: model.name })} />`)}</ul>`}
    ${open && html`<${ModelDetail} key=${open.name} model=${open} baseUrl=${square.base_url} account=${account} onClose=${() => setQuery({ model: null })} />`}`;
}
