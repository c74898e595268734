import { useEffect, useRef } from "react";
import type { WaveView } from "../../agent/types";
import { onWave } from "../../agent/wardStore";
import { waveColour } from "../../format/parameter";
import { t } from "../../locales";
import { useTheme } from "../theme";
import { onFrame } from "./frames";
import { Sweep } from "./sweep";

/** One wave of one bed. React makes the canvas; the sweep draws on it without passing through React again. */
export function WaveStrip({ bed, wave }: { bed: string; wave: WaveView }) {
    const canvas = useRef<HTMLCanvasElement>(null);
    const theme = useTheme((s) => s.theme);

    // The theme is a dependency because the stroke's colour is read from it.
    // biome-ignore lint/correctness/useExhaustiveDependencies: see above
    useEffect(() => {
        const element = canvas.current;
        const context = element?.getContext("2d");
        if (!element || !context) return;
        const colour = waveColour(wave.label).replace(/^var\((.*)\)$/, "$1");
        const sweep = new Sweep(context, { width: 0, height: 0 }, getComputedStyle(element).getPropertyValue(colour));
        const measure = () => {
            const { width, height } = element.getBoundingClientRect();
            const dense = globalThis.devicePixelRatio;
            element.width = Math.round(width * dense);
            element.height = Math.round(height * dense);
            context.scale(dense, dense);
            sweep.size = { width, height };
            sweep.clear();
        };
        const resized = new ResizeObserver(measure);
        resized.observe(element);
        measure();
        const stopWave = onWave(bed, wave.code, (block) => sweep.push(block));
        const stopFrames = onFrame((nowMs) => sweep.draw(nowMs));
        return () => {
            stopFrames();
            stopWave();
            resized.disconnect();
        };
    }, [bed, wave.code, wave.label, theme]);

    return (
        <figure className="relative min-h-0 flex-1" aria-label={t.bed.wave(wave.label, bed)}>
            <canvas ref={canvas} data-testid={`wave-${bed}`} className="absolute inset-0 h-full w-full" />
            <figcaption className="absolute top-0 left-0 text-quiet text-xs">{wave.label}</figcaption>
        </figure>
    );
}
