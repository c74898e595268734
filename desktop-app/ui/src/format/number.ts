import { LOCALE } from "../locales";

const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });

/** "1,248" */
export const count = (n: number): string => whole.format(n);

const CHARTED_WHOLE = /^(heart-rate|pulse-rate|spo2|respiratory-rate|nibp-|abp-)/;
const CHARTED_TENTHS = /^temperature/;

/**
 * A measured value with the decimals its parameter is charted and scored with: rates, saturation and pressures whole,
 * temperature always one ("37.0"), others as sent. The record keeps every digit.
 */
export function measured(key: string, value: number): string {
    const [least, most] = CHARTED_TENTHS.test(key) ? [1, 1] : CHARTED_WHOLE.test(key) ? [0, 0] : [0, 3];
    return new Intl.NumberFormat(LOCALE, {
        minimumFractionDigits: least,
        maximumFractionDigits: most,
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
