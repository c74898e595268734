// Waves of the mock ward, as binary frames.

import { wave } from "./beds";
import { PEOPLE } from "./people";

/** The frame of one bed's wave between two moments. */
export function waveFrame(index: number, fromMs: number, toMs: number): ArrayBuffer {
    const { code, rate_hz, unit } = wave(index);
    const first = Math.round((fromMs / 1000) * rate_hz);
    const n = Math.round((toMs / 1000) * rate_hz) - first;
    const scale = 0.001;
    const beatS = 60 / (PEOPLE[index]?.hr ?? 70);
    // Bed 6 loses a lead for two seconds in every fourteen.
    const good = !(index === 5 && (toMs / 1000) % 14 > 12);
    const header = JSON.stringify({
        bed: String(index + 1),
        code,
        rate_hz,
        scale,
        unit,
        arrived_us: toMs * 1000,
        n,
        good,
    });
    const bytes = new TextEncoder().encode(header);
    const frame = new ArrayBuffer(2 + bytes.length + n * 4);
    const view = new DataView(frame);
    view.setUint16(0, bytes.length, true);
    new Uint8Array(frame, 2).set(bytes);
    for (let i = 0; i < n; i++) {
        const phase = (((first + i) / rate_hz / beatS) % 1) as number;
        const value = rate_hz === 250 ? ecg(phase) : pleth(phase);
        view.setInt32(2 + bytes.length + i * 4, Math.round(value / scale), true);
    }
    return frame;
}

const bump = (phase: number, centre: number, width: number, height: number) =>
    height * Math.exp(-(((phase - centre) / width) ** 2));

const ecg = (p: number) =>
    bump(p, 0.18, 0.025, 0.12) +
    bump(p, 0.29, 0.008, -0.12) +
    bump(p, 0.31, 0.01, 1.1) +
    bump(p, 0.335, 0.01, -0.25) +
    bump(p, 0.55, 0.05, 0.28);

const pleth = (p: number) => bump(p, 0.25, 0.11, 1) + bump(p, 0.55, 0.14, 0.35);
