// One wave drawn as a bedside monitor draws it: a pen moving left to right, wiping what is ahead of it, so each frame
// paints only new samples. Knows nothing of React, sockets or clocks; time comes with each call.

import type { WaveBlock } from "../../agent/waveFrame";

/** Seconds across the strip. */
export const SWEEP_S = 6;
/** Width of the wiped bar ahead of the pen, CSS px. */
export const ERASE_PX = 16;
/** Blocks arrive in bursts: the pen runs this far behind so that it does not stop between them. */
const CUSHION_S = 0.4;
/** With this much waiting, the oldest is dropped and shown as a gap: a strip may lag, never by more. */
const BACKLOG_MAX_S = 3;
/** Silence longer than this is drawn as a gap; shorter is jitter and the pen waits. */
const JITTER_S = 1;
/** No frame draws more than this; after a pause of the whole page the pen goes on from where it is. */
const STEP_MAX_S = 0.5;

/** The part of a 2D context the sweep uses. */
export type Pen = Pick<
    CanvasRenderingContext2D,
    "beginPath" | "moveTo" | "lineTo" | "stroke" | "clearRect" | "strokeStyle" | "lineWidth" | "lineJoin"
>;

export interface Size {
    width: number;
    height: number;
}

/** A value in the wave's unit, or a gap. */
type Sample = number | undefined;

export class Sweep {
    #queue: Sample[] = [];
    #rateHz = 0;
    #pen: { x: number; y: number } | undefined;
    #column = 0;
    /** This sweep so far, for drawing it again when the gain changes. */
    #drawn: Sample[] = [];
    #lastMs: number | undefined;
    #owed = 0;
    #started = false;
    #dryS = 0;
    #range = new Range();

    constructor(
        readonly context: Pen,
        public size: Size,
        public colour: string,
    ) {}

    /** Takes a block; bad samples become a gap of the same length. */
    push(block: WaveBlock): void {
        const { header, samples } = block;
        if (header.rate_hz !== this.#rateHz) this.#restart(header.rate_hz);
        for (const raw of samples) this.#queue.push(header.good ? raw * header.scale : undefined);
        const most = Math.ceil(BACKLOG_MAX_S * this.#rateHz);
        if (this.#queue.length > most) {
            this.#queue.splice(0, this.#queue.length - most);
            this.#queue[0] = undefined;
        }
    }

    /** Draws what is due at this moment. */
    draw(nowMs: number): void {
        const elapsedS = Math.min(Math.max(0, nowMs - (this.#lastMs ?? nowMs)) / 1000, STEP_MAX_S);
        this.#lastMs = nowMs;
        if (this.#rateHz === 0) return;
        if (!this.#started) {
            if (this.#queue.length < CUSHION_S * this.#rateHz) return;
            this.#started = true;
        }
        const due = this.#due(elapsedS);
        if (due > 0) this.#advance(due);
    }

    /** Wipes the strip and starts again at the left edge. */
    clear(): void {
        this.context.clearRect(0, 0, this.size.width, this.size.height);
        this.#column = 0;
        this.#drawn = [];
        this.#pen = undefined;
    }

    /** Where sample `index` since the left edge lies. */
    columnX(index: number): number {
        return (index / (SWEEP_S * this.#rateHz)) * this.size.width;
    }

    /** How many samples this frame owes: slightly more while a backlog stands, none while it only waits for a late block. */
    #due(elapsedS: number): number {
        const behindS = this.#queue.length / this.#rateHz;
        const speed = behindS > CUSHION_S * 2 ? 1.25 : 1;
        this.#owed += elapsedS * this.#rateHz * speed;
        const due = Math.floor(this.#owed);
        if (this.#queue.length > 0) {
            this.#dryS = 0;
            const drawn = Math.min(due, this.#queue.length);
            this.#owed = due === drawn ? this.#owed - drawn : 0;
            return drawn;
        }
        this.#owed -= due;
        this.#dryS += elapsedS;
        return this.#dryS > JITTER_S ? due : 0;
    }

    #advance(due: number): void {
        const next = this.#queue.splice(0, due);
        while (next.length < due) next.push(undefined);
        this.#wipe(due);
        if (this.#range.widen(next)) this.#again();
        this.#stroke(next);
    }

    /** Continues the line through these samples, turning at the right edge. */
    #stroke(samples: readonly Sample[]): void {
        const { context, size } = this;
        context.strokeStyle = this.colour;
        context.lineWidth = 1.5;
        context.lineJoin = "round";
        context.beginPath();
        if (this.#pen) context.moveTo(this.#pen.x, this.#pen.y);
        for (const value of samples) {
            if (value === undefined) {
                this.#pen = undefined;
            } else {
                const at = { x: this.columnX(this.#column), y: this.#range.y(value, size.height) };
                if (this.#pen) context.lineTo(at.x, at.y);
                else context.moveTo(at.x, at.y);
                this.#pen = at;
            }
            this.#drawn.push(value);
            this.#column += 1;
            if (this.#column >= SWEEP_S * this.#rateHz) this.#turn();
        }
        context.stroke();
    }

    /** Draws this sweep again at a new gain; what is left of the one before stays as it was. */
    #again(): void {
        const drawn = this.#drawn;
        this.context.clearRect(0, 0, this.columnX(this.#column), this.size.height);
        this.#column = 0;
        this.#drawn = [];
        this.#pen = undefined;
        this.#stroke(drawn);
    }

    /** Clears from the pen to the erase bar's far edge, around the right edge where it falls over it. */
    #wipe(due: number): void {
        const from = this.columnX(this.#column);
        const to = this.columnX(this.#column + due) + ERASE_PX;
        const { width, height } = this.size;
        this.context.clearRect(from, 0, Math.min(to, width) - from, height);
        if (to > width) this.context.clearRect(0, 0, to - width, height);
    }

    /** The pen is lifted at the right edge and set down at the left; the gain follows the last sweep. */
    #turn(): void {
        this.#column = 0;
        this.#drawn = [];
        this.#pen = undefined;
        this.#range.settle();
    }

    #restart(rateHz: number): void {
        this.#rateHz = rateHz;
        this.#queue = [];
        this.#owed = 0;
        this.#started = false;
        this.#range = new Range();
        this.clear();
    }
}

/** Automatic gain: grows at once so nothing is cut off, shrinks only when the pen turns. */
class Range {
    #low = Number.POSITIVE_INFINITY;
    #high = Number.NEGATIVE_INFINITY;
    #seenLow = Number.POSITIVE_INFINITY;
    #seenHigh = Number.NEGATIVE_INFINITY;

    /** Takes samples in; answers whether the gain had to change for them. */
    widen(samples: readonly Sample[]): boolean {
        for (const value of samples) {
            if (value === undefined) continue;
            this.#seenLow = Math.min(this.#seenLow, value);
            this.#seenHigh = Math.max(this.#seenHigh, value);
        }
        const changed = this.#seenLow < this.#low || this.#seenHigh > this.#high;
        this.#low = Math.min(this.#low, this.#seenLow);
        this.#high = Math.max(this.#high, this.#seenHigh);
        return changed;
    }

    /** Fits the gain to the sweep just ended. */
    settle(): void {
        if (this.#seenLow < this.#seenHigh) {
            this.#low = this.#seenLow;
            this.#high = this.#seenHigh;
        }
        this.#seenLow = Number.POSITIVE_INFINITY;
        this.#seenHigh = Number.NEGATIVE_INFINITY;
    }

    /** Height of a value, with a tenth of the strip free above and below; a flat line runs through the middle. */
    y(value: number, height: number): number {
        const span = this.#high - this.#low;
        const share = span > 0 ? (value - this.#low) / span : 0.5;
        return height * (0.9 - 0.8 * share);
    }
}
