import type { ScoreView } from "../agent/types";
import { t } from "../locales";
import { Shape, type ShapeName } from "./Shape";

interface Look {
    shape: ShapeName;
    className: string;
}

const LOOKS: Record<string, Look> = {
    low: { shape: "circle", className: "bg-[#d7e3f0] text-black border-[#d7e3f0]" },
    "low-medium": { shape: "square", className: "bg-[#fff3a3] text-black border-black outline-2 outline-[#fff3a3]" },
    medium: { shape: "triangle", className: "bg-[#ff9f45] text-black border-[#ff9f45]" },
    high: { shape: "hexagon", className: "bg-[#c62828] text-white border-[#c62828]" },
};

const UNSCORED: Look = { shape: "ring", className: "border-line text-quiet" };

interface Props {
    score: ScoreView | null | undefined;
    bed: string;
    /** False while there is no contact with the agent. */
    live: boolean;
    className?: string;
}

/** Number, word and shape of an early-warning score. It never flashes; only its alert does. */
export function ScoreChip({ score, bed, live, className }: Props) {
    const look = (live && score && LOOKS[score.band]) || UNSCORED;
    return (
        <span
            data-testid={`news2-${bed}`}
            data-band={(live && score?.band) || "none"}
            className={`inline-flex items-center gap-[0.35em] whitespace-nowrap rounded-md border-3 px-[0.45em] py-[0.1em] font-semibold ${look.className} ${className ?? ""}`}
        >
            <Shape name={look.shape} />
            {live ? words(score) : "NEWS2 --"}
        </span>
    );
}

function words(score: ScoreView | null | undefined): string {
    if (!score) return `NEWS2 ${t.score.none}`;
    return `${score.name} ${score.text} · ${t.score.risk[score.band] ?? score.band}`;
}

/** What a partial score lacks: "missing temperature · too old consciousness". Empty for a full set. */
export function scoreGaps(score: ScoreView): string {
    const gaps = [];
    if (score.missing.length > 0) gaps.push(t.score.missing(score.missing));
    if (score.stale.length > 0) gaps.push(t.score.stale(score.stale));
    return gaps.join(" · ");
}

const POINTS = ["#ffffff", "#fff3a3", "#ffc46b", "#f0786e"];

/** Points of one parameter, on the chart's own colours. */
export function Points({ points }: { points: number }) {
    return (
        <span
            className="inline-block min-w-7 rounded px-1.5 text-center font-semibold text-black"
            style={{ background: POINTS[points] ?? POINTS[3] }}
        >
            {points}
        </span>
    );
}
