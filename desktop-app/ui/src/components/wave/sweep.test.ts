import { describe, expect, test } from "vitest";
import type { WaveBlock } from "../../agent/waveFrame";
import { ERASE_PX, type Pen, SWEEP_S, Sweep } from "./sweep";

const RATE = 100;
const SIZE = { width: 600, height: 40 };

type Call = { did: "move" | "line" | "clear"; x: number; y: number; width: number };

class Recorder implements Pen {
    calls: Call[] = [];
    strokeStyle = "";
    lineWidth = 0;
    lineJoin: CanvasLineJoin = "miter";
    beginPath() {}
    stroke() {}
    moveTo = (x: number, y: number) => void this.calls.push({ did: "move", x, y, width: 0 });
    lineTo = (x: number, y: number) => void this.calls.push({ did: "line", x, y, width: 0 });
    clearRect = (x: number, y: number, width: number) => void this.calls.push({ did: "clear", x, y, width });
    of = (did: Call["did"]) => this.calls.filter((call) => call.did === did);
}

const block = (values: number[], good = true): WaveBlock => ({
    header: { bed: "1", code: "c", rate_hz: RATE, scale: 0.5, unit: "mV", arrived_us: 0, n: values.length, good },
    samples: Int32Array.from(values),
});
const ramp = (n: number) => Array.from({ length: n }, (_, i) => i % 50);

function started() {
    const pen = new Recorder();
    const sweep = new Sweep(pen, SIZE, "#37e08a");
    sweep.push(block(ramp(RATE)));
    sweep.draw(0);
    pen.calls = [];
    return { pen, sweep };
}

describe("a sweep", () => {
    test("puts a sample where its time is, and the last of six seconds at the right edge", () => {
        const { sweep } = started();
        expect(sweep.columnX(0)).toBe(0);
        expect(sweep.columnX(RATE)).toBeCloseTo(SIZE.width / SWEEP_S);
        expect(sweep.columnX(RATE * SWEEP_S)).toBe(SIZE.width);
    });
    test("waits for a cushion of samples before it starts", () => {
        const pen = new Recorder();
        const sweep = new Sweep(pen, SIZE, "");
        sweep.push(block(ramp(10)));
        pen.calls = [];
        sweep.draw(0);
        sweep.draw(100);
        expect(pen.calls).toEqual([]);
    });
    test("draws only what is due", () => {
        const { pen, sweep } = started();
        sweep.draw(100);
        const drawn = pen.of("line").length + pen.of("move").length;
        expect(drawn).toBeGreaterThanOrEqual(10);
        expect(drawn).toBeLessThanOrEqual(13);
    });
    test("wipes ahead of the pen by the width of the bar", () => {
        const { pen, sweep } = started();
        sweep.draw(100);
        const [wiped] = pen.of("clear");
        const lastX = Math.max(...pen.of("line").map((call) => call.x));
        expect((wiped?.x ?? 0) + (wiped?.width ?? 0)).toBeGreaterThanOrEqual(lastX + ERASE_PX);
    });
    test("keeps every point inside the strip, with the gain grown before the line is drawn", () => {
        const { pen, sweep } = started();
        sweep.push(block([0, 40_000, -40_000, 0]));
        for (let ms = 66; ms < 3000; ms += 66) sweep.draw(ms);
        for (const { y } of [...pen.of("line"), ...pen.of("move")]) {
            expect(y).toBeGreaterThanOrEqual(0);
            expect(y).toBeLessThanOrEqual(SIZE.height);
        }
    });
    test("lifts the pen over bad samples: a gap is a gap", () => {
        const { pen, sweep } = started();
        sweep.push(block(ramp(50), false));
        sweep.push(block(ramp(50)));
        for (let ms = 66; ms < 2500; ms += 66) sweep.draw(ms);
        const gap = { from: sweep.columnX(RATE), to: sweep.columnX(RATE + 50) };
        expect(pen.of("line").filter(({ x }) => x >= gap.from && x < gap.to)).toEqual([]);
        expect(pen.of("move").some(({ x }) => Math.abs(x - gap.to) < 1)).toBe(true);
    });
    test("never joins the right edge to the left", () => {
        const { pen, sweep } = started();
        let last = 0;
        for (let ms = 66; ms < 9000; ms += 66) {
            sweep.push(block(ramp(7)));
            sweep.draw(ms);
        }
        for (const call of pen.calls) {
            if (call.did === "line") expect(call.x).toBeGreaterThan(last);
            if (call.did !== "clear") last = call.x;
        }
        expect(pen.of("move").some(({ x }) => x === 0)).toBe(true);
    });
    test("holds still through a short delay, and moves on as a gap through a long one", () => {
        const { pen, sweep } = started();
        for (let ms = 66; ms < 1500; ms += 66) sweep.draw(ms);
        pen.calls = [];
        sweep.draw(1600);
        expect(pen.calls).toEqual([]);
        for (let ms = 1700; ms < 3500; ms += 66) sweep.draw(ms);
        expect(pen.of("line")).toEqual([]);
        expect(pen.of("clear").length).toBeGreaterThan(0);
    });
    test("a burst after a long silence is cut to the newest seconds, not drawn late", () => {
        const { pen, sweep } = started();
        sweep.push(block(ramp(60 * RATE)));
        for (let ms = 66; ms < 4000; ms += 66) sweep.draw(ms);
        pen.calls = [];
        for (let ms = 4000; ms < 4600; ms += 66) sweep.draw(ms);
        expect(pen.of("line")).toEqual([]);
    });
    test("a page that slept does not catch up at once", () => {
        const { pen, sweep } = started();
        sweep.push(block(ramp(RATE)));
        sweep.draw(60_000);
        expect(pen.of("line").length).toBeLessThanOrEqual(0.5 * RATE * 1.25);
    });
});
