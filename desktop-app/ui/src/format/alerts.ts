import type { AlertView, BedView, Severity } from "../agent/types";

const GRAVITY: Record<Severity, number> = { high: 3, medium: 2, low: 1 };

/** Marks beside the colour: `***`, `**`, `*`. */
export const MARKS: Record<Severity, string> = { high: "***", medium: "**", low: "*" };

/** Alerts of one patient in one bed. */
export interface Bundle {
    bed: string;
    patientName: string;
    /** In showing order; never empty. */
    alerts: [AlertView, ...AlertView[]];
}

/** Who has nobody yet comes first, then the graver, then the older: an acknowledged alert never hides a new one. */
export function compareAlerts(a: AlertView, b: AlertView): number {
    const taken = Number(a.state === "acknowledged") - Number(b.state === "acknowledged");
    return taken || GRAVITY[b.severity] - GRAVITY[a.severity] || a.raised_ms - b.raised_ms || a.id.localeCompare(b.id);
}

/** Open alerts bundled by bed and patient, each bundle standing where its first alert would. */
export function bundle(alerts: readonly AlertView[]): Bundle[] {
    const bundles = new Map<string, Bundle>();
    for (const alert of alerts.filter((a) => a.state !== "resolved").sort(compareAlerts)) {
        const key = `${alert.bed}\u0000${alert.patient}`;
        const known = bundles.get(key);
        if (known) known.alerts.push(alert);
        else bundles.set(key, { bed: alert.bed, patientName: alert.patient_name, alerts: [alert] });
    }
    return [...bundles.values()];
}

/** The alert's words without the marks in front, which the screen draws itself. */
export const alertText = (alert: AlertView): string => alert.text.replace(/^[*!]+\s*/, "");

/** Beds as painted, or the gravest first: open alerts, then the score, then the painted order. */
export function orderBeds(beds: readonly BedView[], alerts: readonly AlertView[], by: "bed" | "risk"): BedView[] {
    if (by === "bed") return [...beds];
    const gravity = (bed: BedView) =>
        Math.max(
            0,
            ...alerts.filter((a) => a.bed === bed.bed && a.state === "created").map((a) => GRAVITY[a.severity]),
        );
    const score = (bed: BedView) => bed.score?.total ?? bed.score?.at_least ?? -1;
    return [...beds].sort((a, b) => gravity(b) - gravity(a) || score(b) - score(a));
}
