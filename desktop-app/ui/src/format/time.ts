import { LOCALE, t } from "../locales";

const clock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const clockWithSeconds = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });

/** "09:42" */
export const timeOfDay = (ms: number): string => clock.format(ms);

/** "09:42:07" */
export const timeWithSeconds = (ms: number): string => clockWithSeconds.format(ms);

/** "09:42" today, "yesterday 18:05", else "3 Nov 18:05": a moment as a nurse would say it at `nowMs`. */
export function moment(ms: number, nowMs: number): string {
    const days = Math.round((startOfDay(nowMs) - startOfDay(ms)) / 86_400_000);
    if (days === 0) return timeOfDay(ms);
    if (days === 1) return t.time.yesterday(timeOfDay(ms));
    return `${day.format(ms)} ${timeOfDay(ms)}`;
}

/** "12 s", "4 min", "2 h", "3 d": rounded down, never negative, one unit. */
export function duration(ms: number): string {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 60) return t.time.seconds(s);
    if (s < 3600) return t.time.minutes(Math.floor(s / 60));
    if (s < 86_400) return t.time.hours(Math.floor(s / 3600));
    return t.time.days(Math.floor(s / 86_400));
}

/** "1:05": minutes and seconds still to wait. */
export function countdown(ms: number): string {
    const s = Math.max(0, Math.ceil(ms / 1000));
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

function startOfDay(ms: number): number {
    return new Date(ms).setHours(0, 0, 0, 0);
}
