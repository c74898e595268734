import type { NumericView } from "../agent/types";
import { t } from "../locales";
import { shownValue } from "./number";
import { type Freshness, freshness } from "./stale";
import { duration, timeOfDay } from "./time";

/** What a value may be shown as: its digits, and the words under them. Digits are never shown for what is not known. */
export function shownNumeric(numeric: NumericView, live: boolean, nowMs: number): { digits: string; note: string } {
    if (!live) return { digits: "--", note: "" };
    const fresh = freshness(numeric, nowMs);
    if (fresh.shown === "dashes") return { digits: "--", note: duration(fresh.ageMs) };
    const status = statusWords(numeric.status);
    if (numeric.value == null) return { digits: "--", note: status };
    const note = [status, when(numeric, fresh)].filter(Boolean).join(", ");
    return { digits: shownValue(numeric.key, numeric.value), note };
}

function when(numeric: NumericView, fresh: Freshness): string {
    if (fresh.shown === "value-with-time") return timeOfDay(numeric.measured_ms);
    return fresh.shown === "value-with-age" ? duration(fresh.ageMs) : "";
}

/** A status in words; empty for `ok`. */
export function statusWords(status: string): string {
    if (status === "ok") return "";
    if (status.startsWith("fault:")) return t.status.fault(status.slice("fault:".length));
    const known = t.status[status as keyof typeof t.status];
    return typeof known === "string" ? known : status;
}
