import type { ReactNode } from "react";
import type { FleetView, SiteRow } from "../../agent/types";
import { Button } from "../../components/Button";
import { Shape } from "../../components/Shape";
import { count, shortHash } from "../../format/number";
import { duration, timeOfDay } from "../../format/time";
import { t } from "../../locales";
import { SiteAlerts } from "./SiteAlerts";
import { DIGEST_LOOKS, STATE_LOOKS } from "./states";

/** One row a site. Ages are told against the hub's own clock at the moment of the answer. */
export function SiteTable({ view, onRevoke }: { view: FleetView; onRevoke(site: string): void }) {
    const c = t.fleet.columns;
    const columns = [
        c.state,
        c.site,
        c.seen,
        c.lag,
        c.queue,
        c.version,
        c.digest,
        c.entries,
        c.latency,
        c.alerts,
        c.incidents,
    ];
    return (
        <div className="overflow-x-auto rounded-xl border border-line bg-panel">
            <table className="w-full text-left">
                <thead className="bg-raised text-quiet text-sm">
                    <tr>
                        {columns.map((column) => (
                            <th key={column} scope="col" className="whitespace-nowrap px-3 py-2 font-semibold">
                                {column}
                            </th>
                        ))}
                        <th scope="col">
                            <span className="sr-only">{c.actions}</span>
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {view.sites.map((site) => (
                        <Row key={site.site} site={site} asOfMs={view.as_of_ms} onRevoke={onRevoke} />
                    ))}
                </tbody>
            </table>
        </div>
    );
}

function Row({ site, asOfMs, onRevoke }: { site: SiteRow; asOfMs: number; onRevoke(site: string): void }) {
    const ago = (ms: number | null | undefined) => (ms == null ? t.fleet.never : t.fleet.ago(duration(asOfMs - ms)));
    const state = STATE_LOOKS[site.state];
    const digest = DIGEST_LOOKS[site.digest];
    return (
        <tr data-testid={`site-${site.site}`} data-state={site.state} className="border-line border-t align-top">
            <Cell>
                <span
                    className="flex items-center gap-1.5 whitespace-nowrap font-semibold"
                    style={{ color: state.colour }}
                >
                    <Shape name={state.shape} /> {t.fleet.state[site.state]}
                </span>
            </Cell>
            <th scope="row" className="px-3 py-3 font-semibold">
                {site.site}
                {site.replica && <Small>{shortHash(site.replica)}</Small>}
            </th>
            <Cell>
                {ago(site.last_seen_ms)}
                <Small>{site.live ? t.fleet.liveNow : t.fleet.notLive}</Small>
            </Cell>
            <Cell>{site.lag_s == null ? t.fleet.unknown : duration(site.lag_s * 1000)}</Cell>
            <Cell testId="queue">
                {site.queue == null ? t.fleet.unknown : count(site.queue)}
                {site.queue_oldest_ms != null && (
                    <Small>{t.fleet.oldest(duration(asOfMs - site.queue_oldest_ms))}</Small>
                )}
            </Cell>
            <Cell>{site.version ?? t.fleet.unknown}</Cell>
            <Cell testId="digest">
                <span
                    className="flex items-center gap-1.5 whitespace-nowrap font-semibold"
                    style={{ color: digest.colour }}
                >
                    <Shape name={digest.shape} /> {t.fleet.digest[site.digest]}
                    {site.digest_ms != null && <span className="font-normal">{timeOfDay(site.digest_ms)}</span>}
                </span>
                {site.digest_hex && <Small>{shortHash(site.digest_hex)}</Small>}
            </Cell>
            <Cell>{count(site.entries)}</Cell>
            <Cell>
                {site.latency_ms ? (
                    <span title={t.fleet.latencyHelp}>
                        {t.fleet.latency(count(site.latency_ms.p50), count(site.latency_ms.p99))}
                    </span>
                ) : (
                    t.fleet.unknown
                )}
            </Cell>
            <Cell>
                <SiteAlerts alerts={site.alerts} />
            </Cell>
            <Cell>
                <span className={site.incidents > 0 ? "font-semibold text-[#c81b28]" : ""}>
                    {site.incidents || t.fleet.none}
                </span>
            </Cell>
            <td className="px-3 py-2 text-right">
                {site.state !== "revoked" && (
                    <Button
                        onPress={() => onRevoke(site.site)}
                        aria-label={t.fleet.revokeLabel(site.site)}
                        className="text-sm"
                    >
                        {t.fleet.revoke}
                    </Button>
                )}
            </td>
        </tr>
    );
}

function Cell({ children, testId }: { children: ReactNode; testId?: string }) {
    return (
        <td className="px-3 py-3" data-testid={testId}>
            {children}
        </td>
    );
}

function Small({ children }: { children: ReactNode }) {
    return <span className="block whitespace-nowrap font-normal text-quiet text-sm">{children}</span>;
}
