// What the page knows of the ward, and how each live message changes it. Pure: the socket and the screen are elsewhere.

import type { AlertView, BedView, DeviceView, LiveMessage, WardView } from "./types";

/** How the page stands with its agent. Anything but `live` means no number on the page may look live. */
export type Contact = { state: "connecting" } | { state: "live" } | { state: "lost"; sinceMs: number };

export interface Ward {
    contact: Contact;
    /** Absent until the first message. */
    view: WardView | undefined;
    /** Agent's clock minus this machine's, ms: ages are told by the agent's clock alone. */
    clockAheadMs: number;
}

export const UNKNOWN_WARD: Ward = { contact: { state: "connecting" }, view: undefined, clockAheadMs: 0 };

/** The ward after a message. Parts that did not change keep their identity, so only their tiles draw again. */
export function applyMessage(ward: Ward, message: LiveMessage, nowMs: number): Ward {
    if (message.type === "ward") {
        return { contact: { state: "live" }, view: message.data, clockAheadMs: message.data.as_of_ms - nowMs };
    }
    const view = ward.view;
    if (!view) return ward;
    switch (message.type) {
        case "bed":
            return { ...ward, view: { ...view, beds: withBed(view.beds, message.data) } };
        case "alert":
            return { ...ward, view: { ...view, alerts: withAlert(view.alerts, message.data) } };
        case "device":
            return { ...ward, view: { ...view, beds: withDevice(view.beds, message.data) } };
        case "sync":
            return { ...ward, view: { ...view, sync: message.data } };
        case "saving":
            return { ...ward, view: { ...view, saving: message.data } };
        default:
            return ward;
    }
}

/** The ward once the socket is gone. The moment contact was first lost stays. */
export function loseContact(ward: Ward, nowMs: number): Ward {
    if (ward.contact.state === "lost") return ward;
    return { ...ward, contact: { state: "lost", sinceMs: nowMs + ward.clockAheadMs } };
}

function withBed(beds: BedView[], bed: BedView): BedView[] {
    const known = beds.some((b) => b.bed === bed.bed);
    return known ? beds.map((b) => (b.bed === bed.bed ? bed : b)) : [...beds, bed];
}

function withAlert(alerts: AlertView[], alert: AlertView): AlertView[] {
    if (alert.state === "resolved") return alerts.filter((a) => a.id !== alert.id);
    const known = alerts.some((a) => a.id === alert.id);
    return known ? alerts.map((a) => (a.id === alert.id ? alert : a)) : [...alerts, alert];
}

function withDevice(beds: BedView[], device: DeviceView): BedView[] {
    return beds.map((bed) => {
        const here = bed.devices.some((d) => d.id === device.id);
        if (bed.bed !== device.bed) {
            return here ? { ...bed, devices: bed.devices.filter((d) => d.id !== device.id) } : bed;
        }
        const devices = here ? bed.devices.map((d) => (d.id === device.id ? device : d)) : [...bed.devices, device];
        return { ...bed, devices };
    });
}
