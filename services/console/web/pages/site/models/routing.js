/**
 * How a model's requests are routed beyond its own channels.
 */
import { at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { usdText } from "../../../core/format.js";
import { ChipsField } from "../../../parts/chips.js";
import { putEntry } from "../../../parts/entry.js";
import { SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { StrategyField } from "../../../parts/strategy.js";

const FALLBACKS = ["fallbacks", "context_fallbacks", "filter_fallbacks"];
const FROM_A_LIST = "genai-prices";
const FROM_CONFIGURATION = "configuration";

/**
 * A model is replaced as a whole: what it costs is said again, so that it stays. Prices that an operator has set stay of themselves.
 */
function pricesOf(model) {
  if (model.free) return { free: true };
  const usd = (prices) => Object.fromEntries(Object.entries(prices).map(([kind, nano]) => [kind, usdText(nano)]));
  if (model.price_source === FROM_A_LIST) return { override: usd(model.overrides ?? {}) };
  return model.price_source === FROM_CONFIGURATION ? { price: usd(model.prices) } : {};
}

/** @param {{model: object, models: string[], onDone: () => void}} props models: names of all */
export function RoutingForm({ model, models, onDone }) {
  const { routing } = model;
  const form = useForm(
    {
      strategy: routing.strategy ?? null,
      ...Object.fromEntries(FALLBACKS.map((name) => [name, routing[name] ?? []])),
      hedge: routing.hedge ?? false,
      continues: routing.continues ?? false,
      lane: model.lane,
      owned_by: model.owned_by,
    },
    {
      submit: async (values) => {
        await putEntry("models", at`models/${model.name}`, { ...values, ...pricesOf(model) });
        onDone();
      },
    },
  );
  const options = models.filter((name) => name !== model.name);
  return html`<${Form} form=${form} submit=${t("common.save")}>
    <${StrategyField} form=${form} label=${t("site_models.strategy")} empty=${t("site_models.no_strategy")} />
    ${FALLBACKS.map((name) => html`<${ChipsField} key=${name} form=${form} name=${name} label=${t(`site_models.${name}`)} help=${t(`site_models.${name}_help`)} options=${options} />`)}
    <${SwitchField} form=${form} name="hedge" label=${t("site_models.hedge")} help=${t("site_models.hedge_help")} />
    <${SwitchField} form=${form} name="continues" label=${t("site_models.continues")} help=${t("site_models.continues_help")} />
    <div class="form-row">
      <${TextField} form=${form} name="lane" label=${t("site_models.lane_label")} help=${t("site_models.lane_help")} required />
      <${TextField} form=${form} name="owned_by" label=${t("site_models.owned_by")} help=${t("site_models.owned_by_help")} required />
    </div>
  </${Form}>`;
}
