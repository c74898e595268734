import type { NumericView } from "../../agent/types";
import { t } from "../../locales";

/** A fixed place on a tile. The first key with a value fills it; position and label mean the same on every tile. */
export interface Slot {
    label: string;
    keys: readonly string[];
    /** A second number behind a slash: the diastolic pressure. */
    second?: string;
    size: "large" | "small";
}

export const SLOTS: readonly Slot[] = [
    { label: "HR", keys: ["heart-rate", "pulse-rate", "pulse-rate-nibp"], size: "large" },
    { label: t.record.spo2, keys: ["spo2"], size: "large" },
    { label: "RR", keys: ["respiratory-rate", "respiratory-rate-impedance", "respiratory-rate-co2"], size: "large" },
    { label: "NIBP", keys: ["nibp-systolic"], second: "nibp-diastolic", size: "small" },
    { label: "Temp", keys: ["temperature"], size: "small" },
];

/** Which of a bed's numerics fills a slot: one with a value before one without, then the slot's own preference. */
export function fill(slot: Slot, numerics: readonly NumericView[]): NumericView | undefined {
    const found = slot.keys.flatMap((key) => numerics.filter((numeric) => numeric.key === key));
    return found.find((numeric) => numeric.value != null) ?? found[0];
}
