import { describe, expect, test } from "vitest";
import { parseWaveFrame } from "./waveFrame";

const header = {
    bed: "4",
    code: "mdc:131330",
    rate_hz: 250,
    scale: 0.001,
    unit: "mV",
    arrived_us: 1,
    n: 3,
    good: true,
};

function frame(head: object | string, samples: number[]): ArrayBuffer {
    const json = new TextEncoder().encode(typeof head === "string" ? head : JSON.stringify(head));
    const buffer = new ArrayBuffer(2 + json.length + samples.length * 4);
    const view = new DataView(buffer);
    view.setUint16(0, json.length, true);
    new Uint8Array(buffer, 2).set(json);
    for (const [i, sample] of samples.entries()) view.setInt32(2 + json.length + i * 4, sample, true);
    return buffer;
}

describe("wave frames", () => {
    test("carry little-endian samples behind a header of any length", () => {
        for (const bed of ["4", "44", "444", "4444"]) {
            const got = parseWaveFrame(frame({ ...header, bed }, [-1, 2 ** 31 - 1, -(2 ** 31)]));
            expect(got?.header.bed).toBe(bed);
            expect([...(got?.samples ?? [])]).toEqual([-1, 2 ** 31 - 1, -(2 ** 31)]);
        }
    });
    test("may be empty", () => expect(parseWaveFrame(frame({ ...header, n: 0 }, []))?.samples).toHaveLength(0));
    test("every cut of a frame is refused", () => {
        const whole = frame(header, [1, 2, 3]);
        for (let end = 0; end < whole.byteLength; end++) expect(parseWaveFrame(whole.slice(0, end))).toBeUndefined();
    });
    test("a count that does not match the samples is refused", () => {
        expect(parseWaveFrame(frame({ ...header, n: 2 }, [1, 2, 3]))).toBeUndefined();
        expect(parseWaveFrame(frame({ ...header, n: -1 }, []))).toBeUndefined();
        expect(parseWaveFrame(frame({ ...header, n: 1.5 }, [1]))).toBeUndefined();
    });
    test("a header that is not one is refused", () => {
        for (const head of ["", "{", "null", "[]", "7", JSON.stringify({ ...header, rate_hz: 0 })]) {
            expect(parseWaveFrame(frame(head, [1, 2, 3]))).toBeUndefined();
        }
    });
});
