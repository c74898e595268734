/** Frames a second of a ward's strips. */
export const WARD_FPS = 15;

type Draw = (nowMs: number) => void;

const draws = new Set<Draw>();
let running = false;

/** Calls `draw` at the ward's frame rate, all strips in one animation frame, until the returned function is called. */
export function onFrame(draw: Draw): () => void {
    draws.add(draw);
    if (!running) start();
    return () => draws.delete(draw);
}

function start(): void {
    running = true;
    let lastMs = Number.NEGATIVE_INFINITY;
    const frame = (nowMs: number) => {
        if (draws.size === 0) {
            running = false;
            return;
        }
        // Half a screen frame of tolerance, else 15 fps would fall to 12 on a 60 Hz screen.
        if (nowMs - lastMs >= 1000 / WARD_FPS - 8) {
            lastMs = nowMs;
            for (const draw of draws) draw(nowMs);
        }
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}
