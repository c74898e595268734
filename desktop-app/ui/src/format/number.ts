import { LOCALE } from "../locales";

const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });

/** "1,248" */
export const count = (n: number): string => whole.format(n);

/**
 * A measured value with the decimals its parameter is charted with: temperature always one ("37.0"), others as sent.
 * JSON drops a trailing zero, so 37.0 °C would otherwise jump between one decimal and none.
 */
export function measured(key: string, value: number): string {
    const digits = key === "temperature" ? 1 : 0;
    return new Intl.NumberFormat(LOCALE, {
        minimumFractionDigits: digits,
        maximumFractionDigits: 3,
        useGrouping: false,
    }).format(value);
}

const ACVPU = ["A", "C", "V", "P", "U"];

/** Consciousness as its letter, inspired oxygen 0 as "air", anything else as a number. */
export function shownValue(key: string, value: number): string {
    if (key === "consciousness") return ACVPU[value] ?? measured(key, value);
    if (key === "inspired-oxygen" && value === 0) return "air";
    return measured(key, value);
}

/** First 8 characters of a hash: enough to compare by eye. */
export const shortHash = (hex: string): string => hex.slice(0, 8);
