import type { WaveHeader } from "./types";

/** A block of one wave. */
export interface WaveBlock {
    header: WaveHeader;
    /** Raw samples; times `header.scale` they are in `header.unit`. */
    samples: Int32Array;
}

/** Most samples one frame may hold: 10 s at 2 kHz. */
export const SAMPLES_MAX = 20_000;

/**
 * Reads a binary frame: u16 little-endian header length, the header in JSON, then `n` little-endian i32.
 * Returns undefined for anything else; a wave is decoration beside the numerics, so a bad block is only a gap.
 */
export function parseWaveFrame(frame: ArrayBuffer): WaveBlock | undefined {
    if (frame.byteLength < 2) return undefined;
    const view = new DataView(frame);
    const start = 2 + view.getUint16(0, true);
    if (start > frame.byteLength) return undefined;
    const header = readHeader(new Uint8Array(frame, 2, start - 2));
    if (!header || header.n > SAMPLES_MAX || start + header.n * 4 !== frame.byteLength) return undefined;
    // The samples follow JSON of any length, so they are not aligned for an Int32Array view.
    const samples = Int32Array.from({ length: header.n }, (_, i) => view.getInt32(start + i * 4, true));
    return { header, samples };
}

function readHeader(bytes: Uint8Array): WaveHeader | undefined {
    try {
        const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as WaveHeader;
        const whole = Number.isInteger(header.n) && header.n >= 0;
        const numeric = Number.isFinite(header.rate_hz) && header.rate_hz > 0 && Number.isFinite(header.scale);
        return whole && numeric && typeof header.bed === "string" && typeof header.code === "string"
            ? header
            : undefined;
    } catch {
        return undefined;
    }
}
