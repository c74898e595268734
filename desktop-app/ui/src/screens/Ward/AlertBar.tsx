import { useState } from "react";
import type { AlertView } from "../../agent/types";
import { Button } from "../../components/Button";
import { bundle } from "../../format/alerts";
import { t } from "../../locales";
import { AlertBlock } from "./AlertBlock";

/** Bundles beside each other in the bar; the rest are one press away. */
const IN_BAR = 3;

/** Open alerts, one block a patient, always on top and never covered by a panel. */
export function AlertBar({ alerts, nowMs }: { alerts: AlertView[]; nowMs: number }) {
    const [listed, setListed] = useState(false);
    const bundles = bundle(alerts);
    const first = bundles.slice(0, IN_BAR);
    const hidden = alerts.length > first.length;
    return (
        <section
            aria-label={t.alerts.region}
            data-testid="alert-bar"
            className="relative z-20 border-line border-b bg-ground p-2"
        >
            {bundles.length === 0 && (
                <p className="flex min-h-22 items-center px-2 text-quiet text-lg">{t.alerts.none}</p>
            )}
            <div className={`flex items-stretch gap-2 ${listed ? "" : bundles.length > 0 ? "h-22" : ""}`}>
                {!(listed && hidden) && (
                    <ul className="flex min-w-0 flex-1 gap-2">
                        {first.map(({ alerts: [alert, ...others] }) => (
                            <li key={alert.id} className="min-w-0 flex-1">
                                <AlertBlock alert={alert} others={others.length} nowMs={nowMs} />
                            </li>
                        ))}
                    </ul>
                )}
                {listed && hidden && (
                    <ul className="flex max-h-[60vh] min-w-0 flex-1 flex-col gap-2 overflow-auto">
                        {bundles
                            .flatMap((b) => b.alerts)
                            .map((alert) => (
                                <li key={alert.id}>
                                    <AlertBlock alert={alert} others={0} nowMs={nowMs} />
                                </li>
                            ))}
                    </ul>
                )}
                {hidden && (
                    <Button onPress={() => setListed(!listed)} aria-expanded={listed} testId="alerts-all">
                        {listed ? t.alerts.hide : t.alerts.all(alerts.length)}
                    </Button>
                )}
            </div>
        </section>
    );
}
