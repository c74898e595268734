import { useCallback, useEffect, useRef, useState } from "react";
import type { Session } from "../../agent/types";
import { followWard, useWard } from "../../agent/wardStore";
import { SyncLine } from "../../components/SyncLine";
import { useAgentNow } from "../../components/useNow";
import { orderBeds } from "../../format/alerts";
import { timeWithSeconds } from "../../format/time";
import { t } from "../../locales";
import { BedPanel } from "../Bed/BedPanel";
import { AlertBar } from "./AlertBar";
import { gridFor } from "./grid";
import { Tile } from "./Tile";
import { WardHeader } from "./WardHeader";

/** The ward board: the alert bar on top of everything, every bed at a glance, the sync line below. */
export function Ward({ who, onSignOut }: { who: Session; onSignOut(): void }) {
    useEffect(() => followWard(who.token), [who.token]);
    const view = useWard((ward) => ward.view);
    const contact = useWard((ward) => ward.contact);
    const nowMs = useAgentNow();
    const [order, setOrder] = useState<"bed" | "risk">("bed");
    const [open, setOpen] = useState<string>();
    const opener = useRef<Element | null>(null);

    const openBed = useCallback((bed: string) => {
        opener.current = document.activeElement;
        setOpen(bed);
    }, []);
    const closeBed = useCallback(() => {
        setOpen(undefined);
        if (opener.current instanceof HTMLElement) opener.current.focus();
    }, []);

    const live = contact.state === "live";
    const openView = view?.beds.find((bed) => bed.bed === open);
    return (
        <div className="flex h-full min-h-160 flex-col">
            <AlertBar alerts={view?.alerts ?? []} nowMs={nowMs} />
            {contact.state === "lost" && (
                <div
                    role="alert"
                    data-testid="lost"
                    className="m-2 flex items-center gap-4 rounded-lg border-4 border-ink p-3"
                >
                    <span className="font-bold text-2xl" aria-hidden>
                        !
                    </span>
                    <p>
                        <strong className="text-xl">{t.ward.lost(timeWithSeconds(contact.sinceMs))}</strong>
                        <span className="block">{t.ward.lostHelp}</span>
                    </p>
                </div>
            )}
            {view?.saving.stopped_ms != null && (
                <div
                    role="alert"
                    data-testid="not-saving"
                    className="m-2 flex items-center gap-4 rounded-lg border-4 border-ink p-3"
                >
                    <span className="font-bold text-2xl" aria-hidden>
                        !
                    </span>
                    <p>
                        <strong className="text-xl">{t.ward.notSaving(timeWithSeconds(view.saving.stopped_ms))}</strong>
                        <span className="block">{view.saving.problem}</span>
                    </p>
                </div>
            )}
            {view?.saving.shedding && (
                <p role="status" data-testid="shedding" className="m-2 rounded-lg border-2 border-ink p-3">
                    <strong>{t.ward.shedding(timeWithSeconds(view.saving.shedding.since_ms))}</strong>{" "}
                    {t.ward.shed(view.saving.shedding)}
                </p>
            )}
            <WardHeader
                site={view?.site.name ?? ""}
                beds={view?.beds.length ?? 0}
                who={who}
                order={order}
                onOrder={setOrder}
                onSignOut={onSignOut}
                nowMs={nowMs}
            />
            <div className="relative flex min-h-0 flex-1">
                <main className="min-h-0 min-w-0 flex-1 overflow-auto p-2" aria-label={t.ward.title}>
                    {!view && <p className="p-8 text-center text-quiet text-xl">{t.ward.loading}</p>}
                    {view?.beds.length === 0 && (
                        <div className="grid h-full place-content-center gap-2 text-center">
                            <p className="text-2xl">{t.ward.noBeds}</p>
                            <p className="text-quiet">{t.ward.noBedsHelp}</p>
                        </div>
                    )}
                    {view && view.beds.length > 0 && (
                        <ul className="grid h-full gap-2" style={gridFor(view.beds.length)}>
                            {orderBeds(view.beds, view.alerts, order).map((bed) => (
                                <Tile key={bed.bed} bed={bed} live={live} onOpen={openBed} isOpen={bed.bed === open} />
                            ))}
                        </ul>
                    )}
                </main>
                {openView && (
                    <BedPanel key={openView.bed} bed={openView} live={live} nowMs={nowMs} onClose={closeBed} />
                )}
            </div>
            <footer className="border-line border-t">
                {view && <SyncLine sync={view.sync} live={live} nowMs={nowMs} />}
            </footer>
        </div>
    );
}
