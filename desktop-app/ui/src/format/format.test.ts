import { describe, expect, test } from "vitest";
import { measured, shortHash, shownValue } from "./number";
import { identity } from "./patient";
import { syncWords } from "./sync";
import { countdown, duration, moment } from "./time";

const at = (day: number, h: number, m: number) => new Date(2026, 10, day, h, m).getTime();

describe("durations", () => {
    test.each([
        [-5_000, "0 s"],
        [59_999, "59 s"],
        [60_000, "1 min"],
        [3_599_999, "59 min"],
        [3_600_000, "1 h"],
        [86_399_999, "23 h"],
        [86_400_000, "1 d"],
    ])("%i ms reads %s: rounded down, never negative", (ms, words) => expect(duration(ms)).toBe(words));

    test("a countdown rounds up, so it never says 0:00 while still locked", () => {
        expect(countdown(64_100)).toBe("1:05");
        expect(countdown(1)).toBe("0:01");
        expect(countdown(-1)).toBe("0:00");
    });
});

describe("moments", () => {
    const now = at(22, 9, 0);
    test("today is a time", () => expect(moment(at(22, 0, 0), now)).toBe("00:00"));
    test("the minute before midnight is yesterday", () => expect(moment(at(21, 23, 59), now)).toBe("yesterday 23:59"));
    test("older days have a date", () => expect(moment(at(20, 18, 5), now)).toBe("20 Nov 18:05"));
});

describe("values", () => {
    test("a saturation of 87.78 % is shown as it is charted, 88", () => expect(measured("spo2", 87.78)).toBe("88"));
    test("a temperature keeps its decimal though JSON drops the zero", () =>
        expect(measured("temperature", 37)).toBe("37.0"));
    test("decimals are shown as sent", () => expect(measured("perfusion-index", 0.35)).toBe("0.35"));
    test("consciousness is its letter", () => expect(shownValue("consciousness", 4)).toBe("U"));
    test("no oxygen is air, and no pulse is zero", () => {
        expect(shownValue("inspired-oxygen", 0)).toBe("air");
        expect(shownValue("heart-rate", 0)).toBe("0");
    });
    test("hashes shorten to eight characters", () => expect(shortHash("9f2c41d07be85a13")).toBe("9f2c41d0"));
});

test("a patient is named by a second identifier, age and gender, and test patients say so", () => {
    const patient = { id: "p", name: "Doe, Jane", identifier: "MRN 7", age_years: 72, gender: "female", test: true };
    expect(identity(patient)).toBe("MRN 7 · 72 y F · TEST");
    expect(identity({ id: "p", name: "Doe, Jane", test: false })).toBe("no identifier");
});

describe("the sync line", () => {
    const now = at(22, 11, 50);
    const base = {
        since_ms: at(22, 9, 42),
        waiting: 0,
        digest: "",
        entries_written: 1248,
        entries_sent: 0,
        entries_acked: 0,
    };

    test("offline says since when, how much waits, and when it last went", () => {
        const sync = {
            ...base,
            state: "offline" as const,
            waiting: 17,
            oldest_waiting_ms: at(22, 9, 45),
            last_sync_ms: at(21, 18, 5),
        };
        expect(syncWords(sync, now)).toBe(
            "Offline since 09:42 · 17 changes waiting, oldest 2 h · last sync yesterday 18:05",
        );
    });
    test("offline and never synced is said so, and one change is singular", () =>
        expect(syncWords({ ...base, state: "offline", waiting: 1 }, now)).toBe(
            "Offline since 09:42 · 1 change waiting · never synced",
        ));
    test("online and proven names the count and the time", () => {
        const sync = { ...base, state: "online" as const, last_sync_ms: at(22, 11, 48), digest_equal: true };
        expect(syncWords(sync, now)).toBe("Hub reached · all 1,248 entries proven equal 11:48");
    });
    test("online with changes waiting claims no proof", () => {
        const sync = {
            ...base,
            state: "online" as const,
            waiting: 3,
            last_sync_ms: at(22, 11, 48),
            digest_equal: true,
        };
        expect(syncWords(sync, now)).not.toContain("proven");
    });
    test("a difference is never hidden behind an old proof", () => {
        const sync = { ...base, state: "online" as const, last_sync_ms: at(22, 11, 48), digest_equal: false };
        expect(syncWords(sync, now)).toContain("hold different entries");
        expect(syncWords(sync, now)).not.toContain("proven");
    });
    test("unenrolled is not an error", () =>
        expect(syncWords({ ...base, state: "unenrolled" }, now)).toBe("No hub is set up. Everything is kept here."));
});
