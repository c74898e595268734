import type { Severity } from "../../agent/types";
import { Shape } from "../../components/Shape";
import { SEVERITY_SHAPE } from "../../components/severity";
import { t } from "../../locales";

const ORDER: readonly Severity[] = ["high", "medium", "low"];

/** Open alerts by priority: a filled block with symbol and number for each that is not zero. */
export function SiteAlerts({ alerts }: { alerts: readonly number[] }) {
    const [high = 0, medium = 0, low = 0] = alerts;
    if (high + medium + low === 0) return t.fleet.none;
    return (
        <ul className="flex gap-1.5" aria-label={t.fleet.alertCounts(high, medium, low)}>
            {ORDER.map((severity, i) => {
                const n = alerts[i] ?? 0;
                return n === 0 ? null : (
                    <li
                        key={severity}
                        className={`alarm alarm-${severity} flex items-center gap-1 rounded px-1.5 font-semibold`}
                        title={t.alerts.severity[severity]}
                    >
                        <Shape name={SEVERITY_SHAPE[severity]} /> {n}
                    </li>
                );
            })}
        </ul>
    );
}
