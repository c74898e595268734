import { describe, expect, test } from "vitest";
import type { NumericView } from "../agent/types";
import { shownNumeric } from "./numeric";
import { freshness } from "./stale";

const spo2: NumericView = {
    code: "59408-5",
    key: "spo2",
    label: "SpO₂",
    value: 97,
    unit: "%",
    unit_shown: "%",
    status: "ok",
    measured_ms: 0,
    device: "device-1",
};
const seen = (numeric: Partial<NumericView>, nowMs: number, live = true) =>
    shownNumeric({ ...spo2, ...numeric }, live, nowMs);

describe("the stale rule", () => {
    test("a watched value is plain for ten seconds", () =>
        expect(seen({}, 10_000)).toEqual({ digits: "97", note: "" }));
    test("then it shows its age", () => expect(seen({}, 10_001)).toEqual({ digits: "97", note: "10 s" }));
    test("up to a minute", () => expect(seen({}, 60_000).digits).toBe("97"));
    test("and past a minute it is dashes, never a frozen number", () =>
        expect(seen({}, 60_001)).toEqual({ digits: "--", note: "1 min" }));
    test("a cuff pressure always shows when it was taken and lasts twelve hours", () => {
        const cuff = { key: "nibp-systolic", measured_ms: new Date(2026, 10, 22, 9, 42).getTime() };
        expect(seen(cuff, cuff.measured_ms + 1).note).toBe("09:42");
        expect(seen(cuff, cuff.measured_ms + 12 * 3_600_000).digits).toBe("97");
        expect(seen(cuff, cuff.measured_ms + 12 * 3_600_000 + 1).digits).toBe("--");
    });
    test("a value typed by a person counts as measured once", () =>
        expect(freshness({ ...spo2, device: "manual" }, 61_000).shown).toBe("value-with-time"));
    test("a device clock ahead of ours makes no negative age", () =>
        expect(freshness({ ...spo2, measured_ms: 5_000 }, 0).shown).toBe("value"));
});

describe("what is not known", () => {
    test("no value is said in words, never as zero", () =>
        expect(seen({ value: null, status: "sensor-off" }, 0)).toEqual({ digits: "--", note: "sensor off" }));
    test("a fault names what", () => expect(seen({ value: null, status: "fault:E42" }, 0).note).toBe("fault: E42"));
    test("demo data say so beside the number", () =>
        expect(seen({ status: "demo" }, 0)).toEqual({ digits: "97", note: "demo" }));
    test("without contact every number is dashes, however fresh", () =>
        expect(seen({}, 0, false)).toEqual({ digits: "--", note: "" }));
});
