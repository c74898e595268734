import { useEffect, useState } from "react";
import type { AlertView } from "../../agent/types";
import { Button } from "../../components/Button";
import { REPEAT_MS } from "../../components/once";
import { bundle } from "../../format/alerts";
import { t } from "../../locales";
import { AlertBlock } from "./AlertBlock";

/** Bundles beside each other in the bar; the rest are one press away. */
const IN_BAR = 3;

/** Open alerts, one block a patient, always on top and never covered by a panel. Its height never changes. */
export function AlertBar({ alerts, nowMs }: { alerts: AlertView[]; nowMs: number }) {
    const [listed, setListed] = useState(false);
    const [resting, rest] = useRest();
    const bundles = bundle(alerts);
    const first = bundles.slice(0, IN_BAR);
    const hidden = alerts.length > first.length;
    const block = (alert: AlertView, others: number) => (
        <AlertBlock alert={alert} others={others} nowMs={nowMs} resting={resting} onTaken={rest} />
    );
    return (
        <section
            aria-label={t.alerts.region}
            data-testid="alert-bar"
            className="relative z-20 border-line border-b bg-ground p-2"
        >
            <div className="flex h-22 items-stretch gap-2">
                {bundles.length === 0 && <p className="self-center px-2 text-lg text-quiet">{t.alerts.none}</p>}
                <ul className="flex min-w-0 flex-1 gap-2">
                    {first.map(({ alerts: [alert, ...others] }) => (
                        <li key={alert.id} className="min-w-0 flex-1">
                            {block(alert, others.length)}
                        </li>
                    ))}
                </ul>
                {hidden && (
                    <Button
                        onPress={() => setListed(!listed)}
                        aria-expanded={listed}
                        testId="alerts-all"
                        className="w-32"
                    >
                        {listed ? t.alerts.hide : t.alerts.all(alerts.length)}
                    </Button>
                )}
            </div>
            {listed && hidden && (
                <ul
                    data-testid="alert-list"
                    className="absolute inset-x-0 top-full flex max-h-[70vh] flex-col gap-2 overflow-auto border-line border-b-2 bg-ground p-2"
                >
                    {bundles.flatMap(({ alerts: [alert, ...others] }, place) =>
                        (place < IN_BAR ? others : [alert, ...others]).map((more) => (
                            <li key={more.id}>{block(more, 0)}</li>
                        )),
                    )}
                </ul>
            )}
        </section>
    );
}

/**
 * True for a moment after an acknowledgement: the blocks move up, and a second tap of the same finger must not take an
 * alert nobody has read.
 */
function useRest(): [boolean, () => void] {
    const [resting, setResting] = useState(false);
    useEffect(() => {
        if (!resting) return;
        const timer = setTimeout(() => setResting(false), REPEAT_MS);
        return () => clearTimeout(timer);
    }, [resting]);
    return [resting, () => setResting(true)];
}
