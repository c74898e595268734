// The mock hub's sites.

import type { FleetView, IncidentView, SiteRow } from "../types";

const HEX = "9f2c41d07be85a13";

function site(name: string, nowMs: number, change: Partial<SiteRow>): SiteRow {
    return {
        site: name,
        replica: HEX.repeat(4),
        state: "ok",
        live: true,
        last_seen_ms: nowMs - 1200,
        last_sync_ms: nowMs - 4000,
        lag_s: 2,
        queue: 0,
        queue_oldest_ms: null,
        version: "0.1.0",
        digest: "equal",
        digest_ms: nowMs - 4000,
        digest_hex: HEX.repeat(4),
        entries: 18_442,
        alerts: [0, 0, 0],
        incidents: 0,
        latency_ms: { p50: 38, p99: 112, n: 1000 },
        ...change,
    };
}

/** Sites in every state an operator can meet. */
export function fleetView(nowMs: number, names: string[], revoked: ReadonlySet<string>): FleetView {
    const gone = { live: false, latency_ms: null };
    const known: Record<string, Partial<SiteRow>> = {
        hillside: { alerts: [1, 2, 0] },
        riverside: {
            ...gone,
            state: "offline",
            last_seen_ms: nowMs - 7_300_000,
            lag_s: 7_300,
            queue: 17,
            queue_oldest_ms: nowMs - 7_200_000,
            alerts: [0, 1, 1],
        },
        lakeside: {
            ...gone,
            state: "late",
            last_seen_ms: nowMs - 190_000,
            lag_s: 190,
            queue: 3,
            queue_oldest_ms: nowMs - 180_000,
            digest: "differs",
            incidents: 1,
        },
    };
    const fresh: Partial<SiteRow> = {
        ...gone,
        replica: null,
        state: "never-seen",
        last_seen_ms: null,
        last_sync_ms: null,
        lag_s: null,
        queue: null,
        version: null,
        digest: "unknown",
        digest_ms: null,
        digest_hex: null,
        entries: 0,
    };
    return {
        as_of_ms: nowMs,
        version: "0.1.0",
        replica: HEX.repeat(4),
        live_messages: Math.floor(nowMs / 1000) % 100_000,
        sites: names.map((name) =>
            site(name, nowMs, {
                ...(known[name] ?? fresh),
                ...(revoked.has(name) ? { state: "revoked" as const, live: false } : {}),
            }),
        ),
    };
}

/** One open incident, for the site that differs. */
export function incidentsOf(names: string[], nowMs: number): IncidentView[] {
    return names.includes("lakeside")
        ? [
              {
                  id: "4be1d2c3a4b5c6d7",
                  site: "lakeside",
                  kind: "digest-differs",
                  detail: "Scope 4be1…: 212 entries here, 214 there; reconciling.",
                  at_ms: nowMs - 240_000,
              },
          ]
        : [];
}
