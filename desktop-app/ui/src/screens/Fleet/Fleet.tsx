import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fleet, incidents } from "../../agent/client";
import { failureOf } from "../../agent/failure";
import type { FleetView, Health, Session } from "../../agent/types";
import { Button } from "../../components/Button";
import { Shape } from "../../components/Shape";
import { count } from "../../format/number";
import { timeWithSeconds } from "../../format/time";
import { t } from "../../locales";
import { AddSite } from "./AddSite";
import { Incidents } from "./Incidents";
import { RevokeSite } from "./RevokeSite";
import { SiteTable } from "./SiteTable";
import { STATE_LOOKS } from "./states";

/** The page asks this often; every number on it says as of when. */
const POLL_MS = 2000;

/** The hub operator's page: every site, and what must not pass unnoticed. */
export function Fleet({ hub, who, onSignOut }: { hub: Health; who: Session; onSignOut(): void }) {
    const sites = useQuery({ queryKey: ["fleet"], queryFn: fleet, refetchInterval: POLL_MS, retry: false });
    const open = useQuery({ queryKey: ["incidents"], queryFn: incidents, refetchInterval: POLL_MS, retry: false });
    const [adding, setAdding] = useState(false);
    const [revoking, setRevoking] = useState<string>();
    const view = sites.data;
    return (
        <div className="mx-auto flex min-h-full max-w-480 flex-col gap-5 p-6">
            <header className="flex flex-wrap items-center gap-x-6 gap-y-3">
                <img src="/lamplight.svg" alt="" className="size-11" />
                <div>
                    <h1 className="font-semibold text-2xl">{t.fleet.title}</h1>
                    <p className="text-quiet">
                        {t.fleet.hub(hub.name)} · {t.fleet.version(hub.version)}
                    </p>
                </div>
                {view && <Counts view={view} />}
                <div className="ml-auto flex flex-wrap items-center gap-4">
                    <span className="text-quiet">{who.display_name}</span>
                    <Button look="primary" onPress={() => setAdding(true)} testId="add-site">
                        {t.fleet.add}
                    </Button>
                    <Button onPress={onSignOut} testId="sign-out">
                        {t.signOut}
                    </Button>
                </div>
            </header>
            {sites.isError && (
                <p role="alert" className="rounded-lg border-2 border-danger bg-panel p-3 font-semibold">
                    {failureOf(sites.error).kind === "unreachable"
                        ? t.fleet.lost(timeWithSeconds(view?.as_of_ms ?? Date.now()))
                        : t.failure(failureOf(sites.error))}
                </p>
            )}
            <main className="flex flex-col gap-8">
                {view && (
                    <p className="text-quiet" data-testid="as-of">
                        {t.fleet.asOf(timeWithSeconds(view.as_of_ms))} · {t.fleet.live(count(view.live_messages))}
                    </p>
                )}
                {view?.sites.length === 0 && (
                    <div className="rounded-xl border border-line bg-panel p-12 text-center">
                        <p className="text-2xl">{t.fleet.empty}</p>
                        <p className="mt-2 text-quiet">{t.fleet.emptyHelp}</p>
                    </div>
                )}
                {view && view.sites.length > 0 && <SiteTable view={view} onRevoke={setRevoking} />}
                {open.data && <Incidents incidents={open.data} />}
            </main>
            <AddSite isOpen={adding} onClose={() => setAdding(false)} />
            <RevokeSite site={revoking} onClose={() => setRevoking(undefined)} />
        </div>
    );
}

/** How many sites stand where; the numbers add up to the rows below. */
function Counts({ view }: { view: FleetView }) {
    const states = Object.entries(STATE_LOOKS) as [
        keyof typeof STATE_LOOKS,
        (typeof STATE_LOOKS)[keyof typeof STATE_LOOKS],
    ][];
    return (
        <ul className="flex flex-wrap gap-x-5 gap-y-1 text-lg" aria-label={t.fleet.counts(view.sites.length)}>
            {states.map(([state, look]) => {
                const n = view.sites.filter((site) => site.state === state).length;
                return n === 0 ? null : (
                    <li key={state} className="flex items-center gap-1.5 font-semibold" style={{ color: look.colour }}>
                        <Shape name={look.shape} /> {n} {t.fleet.state[state]}
                    </li>
                );
            })}
        </ul>
    );
}
