import { describe, expect, test } from "vitest";
import type { AlertView, BedView } from "../agent/types";
import { alertText, bundle, orderBeds } from "./alerts";

const alert = (id: string, bed: string, change: Partial<AlertView> = {}): AlertView => ({
    id,
    bed,
    patient: `p${bed}`,
    patient_name: "Doe",
    severity: "medium",
    state: "created",
    text: "** NEWS2 5",
    raised_ms: 0,
    ...change,
});
const order = (alerts: AlertView[]) => bundle(alerts).map((b) => b.alerts.map((a) => a.id).join("+"));

describe("alerts in the bar", () => {
    test("the graver comes first", () =>
        expect(
            order([alert("m", "1"), alert("l", "2", { severity: "low" }), alert("h", "3", { severity: "high" })]),
        ).toEqual(["h", "m", "l"]));
    test("of equals the older comes first", () =>
        expect(order([alert("new", "1", { raised_ms: 2 }), alert("old", "2", { raised_ms: 1 })])).toEqual([
            "old",
            "new",
        ]));
    test("an acknowledged high alert never stands before a low one that nobody has taken", () =>
        expect(
            order([alert("h", "1", { severity: "high", state: "acknowledged" }), alert("l", "2", { severity: "low" })]),
        ).toEqual(["l", "h"]));
    test("one patient is one bundle, led by the gravest", () =>
        expect(order([alert("a", "1"), alert("b", "2"), alert("c", "2", { severity: "high" })])).toEqual(["c+b", "a"]));
    test("two patients in one bed, one after the other, are not mixed", () =>
        expect(order([alert("a", "1"), alert("b", "1", { patient: "other" })])).toEqual(["a", "b"]));
    test("resolved alerts are gone", () => expect(order([alert("a", "1", { state: "resolved" })])).toEqual([]));
    test("the marks in the text are drawn once", () => expect(alertText(alert("a", "1"))).toBe("NEWS2 5"));
});

describe("the order of beds", () => {
    const bed = (name: string, at_least?: number): BedView => ({
        bed: name,
        record_closed: false,
        numerics: [],
        waves: [],
        devices: [],
        device_alarms: [],
        score: at_least === undefined ? null : ({ at_least, total: null } as unknown as BedView["score"]),
    });
    const beds = [bed("1", 2), bed("2"), bed("3", 9), bed("4", 0)];
    const names = (by: "bed" | "risk", alerts: AlertView[] = []) => orderBeds(beds, alerts, by).map((b) => b.bed);

    test("is as painted", () => expect(names("bed")).toEqual(["1", "2", "3", "4"]));
    test("or by risk, an unscored bed last", () => expect(names("risk")).toEqual(["3", "1", "4", "2"]));
    test("where an open alert outranks any score", () => expect(names("risk", [alert("a", "4")])[0]).toBe("4"));
});
