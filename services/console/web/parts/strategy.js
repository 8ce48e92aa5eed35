/**
 * In which order channels are asked, wherever it can be said: by groups and models.
 */
import { html } from "../core/html.js";
import { t } from "../core/words.js";
import { SelectField } from "./fields.js";

const STRATEGIES = ["priority", "cost", "latency", "throughput", "least-busy"];

/** @param {string} strategy */
export const strategyName = (strategy) => t(`supply.strategy.${strategy}`);

/** @param {{form: object, name?: string, label: string, help?: string, empty: string}} props empty: words for none */
export function StrategyField({ form, name = "strategy", label, help, empty }) {
  const options = STRATEGIES.map((value) => ({ value, label: `${strategyName(value)}: ${t(`supply.strategy_text.${value}`)}` }));
  return html`<${SelectField} form=${form} name=${name} label=${label} help=${help} empty=${empty} options=${options} />`;
}
