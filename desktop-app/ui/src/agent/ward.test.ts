import { describe, expect, test } from "vitest";
import { parseMessage } from "./live";
import type { AlertView, BedView, DeviceView, SyncView, WardView } from "./types";
import { applyMessage, loseContact, UNKNOWN_WARD, type Ward } from "./ward";

const device = (id: string, bed: string, state: DeviceView["state"] = "connected"): DeviceView => ({
    id,
    bed,
    state,
    name: "Monitor",
    protocol: "ge.dri",
    reason: "",
});
const bed = (name: string, devices: DeviceView[] = []): BedView => ({
    bed: name,
    record_closed: false,
    numerics: [],
    waves: [],
    devices,
    device_alarms: [],
});
const alert = (id: string, state: AlertView["state"]): AlertView => ({
    id,
    state,
    bed: "1",
    patient: "p",
    patient_name: "Doe",
    severity: "high",
    text: "",
    raised_ms: 0,
});
const sync = { state: "offline" } as SyncView;
const view: WardView = {
    site: { name: "hillside", replica: "", version: "" },
    as_of_ms: 5_000,
    beds: [bed("1", [device("d", "1")]), bed("2")],
    alerts: [alert("a", "created")],
    sync,
    saving: {},
};
const ward = applyMessage(UNKNOWN_WARD, { type: "ward", data: view }, 1_000);
const beds = (after: Ward) => after.view?.beds ?? [];

describe("the live ward", () => {
    test("the first message brings everything, and the agent's clock", () => {
        expect(ward.contact.state).toBe("live");
        expect(ward.clockAheadMs).toBe(4_000);
    });
    test("before it, nothing else is taken", () =>
        expect(applyMessage(UNKNOWN_WARD, { type: "bed", data: bed("1") }, 0)).toBe(UNKNOWN_WARD));
    test("a bed replaces itself and leaves its neighbour untouched", () => {
        const after = beds(applyMessage(ward, { type: "bed", data: bed("2", [device("e", "2")]) }, 0));
        expect(after[1]?.devices).toHaveLength(1);
        expect(after[0]).toBe(view.beds[0]);
    });
    test("an unknown bed is added", () =>
        expect(beds(applyMessage(ward, { type: "bed", data: bed("3") }, 0)).map((b) => b.bed)).toEqual([
            "1",
            "2",
            "3",
        ]));
    test("an alert replaces the one of its id, a new one is added, a resolved one goes", () => {
        const taken = applyMessage(ward, { type: "alert", data: alert("a", "acknowledged") }, 0);
        expect(taken.view?.alerts.map((a) => a.state)).toEqual(["acknowledged"]);
        expect(applyMessage(taken, { type: "alert", data: alert("b", "created") }, 0).view?.alerts).toHaveLength(2);
        expect(applyMessage(taken, { type: "alert", data: alert("a", "resolved") }, 0).view?.alerts).toEqual([]);
    });
    test("a device that moves is at one bed only", () => {
        const after = beds(applyMessage(ward, { type: "device", data: device("d", "2") }, 0));
        expect(after.map((b) => b.devices.length)).toEqual([0, 1]);
    });
    test("that nothing is being saved is told, and that it goes on", () => {
        const stopped = { stopped_ms: 5, problem: "The disk is full" };
        const next = applyMessage(ward, { type: "saving", data: stopped }, 0);
        expect(next.view?.saving).toBe(stopped);
        expect(applyMessage(next, { type: "saving", data: {} }, 0).view?.saving).toEqual({});
    });

    test("the sync line is replaced", () => {
        const next = { ...sync, state: "online" as const };
        expect(applyMessage(ward, { type: "sync", data: next }, 0).view?.sync).toBe(next);
    });
    test("lost contact keeps the moment it was first lost, by the agent's clock", () => {
        const lost = loseContact(loseContact(ward, 2_000), 9_000);
        expect(lost.contact).toEqual({ state: "lost", sinceMs: 6_000 });
    });
    test("only a whole ward ends lost contact", () => {
        const lost = loseContact(ward, 0);
        expect(applyMessage(lost, { type: "bed", data: bed("1") }, 0).contact.state).toBe("lost");
        expect(applyMessage(lost, { type: "ward", data: view }, 0).contact.state).toBe("live");
    });
});

describe("text frames", () => {
    test("garbage and messages of a later version are passed over", () => {
        for (const data of ["", "{", "null", "[]", '"ward"', '{"type":"weather","data":{}}', 7, undefined]) {
            expect(parseMessage(data)).toBeUndefined();
        }
    });
});
