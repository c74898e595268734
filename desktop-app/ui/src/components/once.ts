/** A second tap within this of the first is a slip of the finger. */
export const REPEAT_MS = 500;

/** Lets an act through once: not while the last is under way, and not within [REPEAT_MS] of its start. */
export class Once {
    #busy = false;
    #startedMs = Number.NEGATIVE_INFINITY;

    /** Runs the act unless it is a repeat; answers whether it ran. */
    async run(nowMs: number, act: () => Promise<void>): Promise<boolean> {
        if (this.#busy || nowMs - this.#startedMs < REPEAT_MS) return false;
        this.#busy = true;
        this.#startedMs = nowMs;
        try {
            await act();
        } finally {
            this.#busy = false;
        }
        return true;
    }
}
