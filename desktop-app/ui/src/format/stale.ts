import type { NumericView } from "../agent/types";

/** A watched value older than this shows its age; older than the limit it is `--`. Never a frozen number. */
export const AGE_SHOWN_AFTER_MS = 10_000;
export const WATCHED_LIMIT_MS = 60_000;
/** A value measured once always shows its time and goes after the 12 h at which NEWS2 stops counting it. */
export const SPOT_LIMIT_MS = 12 * 3_600_000;

const SPOT_KEYS = new Set([
    "nibp-systolic",
    "nibp-diastolic",
    "nibp-mean",
    "pulse-rate-nibp",
    "temperature",
    "consciousness",
    "inspired-oxygen",
]);

/** How a value may be shown at a moment. */
export type Freshness =
    | { shown: "value" }
    | { shown: "value-with-age"; ageMs: number }
    | { shown: "value-with-time" }
    | { shown: "dashes"; ageMs: number };

/** The device under which the agent keeps what a person typed. */
const MANUAL = "manual";

/** Applies the stale rule. A value typed by a person counts as measured once. */
export function freshness(numeric: Pick<NumericView, "key" | "device" | "measured_ms">, nowMs: number): Freshness {
    const ageMs = Math.max(0, nowMs - numeric.measured_ms);
    const spot = SPOT_KEYS.has(numeric.key) || numeric.device === MANUAL;
    if (ageMs > (spot ? SPOT_LIMIT_MS : WATCHED_LIMIT_MS)) return { shown: "dashes", ageMs };
    if (spot) return { shown: "value-with-time" };
    if (ageMs > AGE_SHOWN_AFTER_MS) return { shown: "value-with-age", ageMs };
    return { shown: "value" };
}
