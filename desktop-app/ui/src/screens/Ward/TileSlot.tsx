import type { BedView, NumericView } from "../../agent/types";
import { shownNumeric } from "../../format/numeric";
import { parameterColour } from "../../format/parameter";
import type { Slot } from "./slots";

interface Props {
    bed: BedView;
    slot: Slot;
    numeric: NumericView | undefined;
    live: boolean;
    nowMs: number;
}

/** A parameter's fixed place on a tile: label, digits, and why there are none or how old they are. */
export function TileSlot({ bed, slot, numeric, live, nowMs }: Props) {
    const second = bed.numerics.find((other) => other.key === slot.second);
    const shown = numeric ? shownNumeric(numeric, live, nowMs) : { digits: "--", note: "" };
    const shownSecond = second && shownNumeric(second, live, nowMs);
    return (
        <div className="min-w-0" style={{ color: numeric ? parameterColour(numeric.key) : "var(--quiet)" }}>
            <p className="tile-label truncate">
                {slot.label} {numeric?.unit_shown}
            </p>
            <p className={`whitespace-nowrap ${slot.size === "large" ? "digits" : "digits-small"}`}>
                <span data-testid={`numeric-${bed.bed}-${numeric?.key ?? slot.keys[0]}`}>{shown.digits}</span>
                {second && shownSecond && (
                    <span data-testid={`numeric-${bed.bed}-${second.key}`}>
                        <span aria-hidden>/</span>
                        {shownSecond.digits}
                    </span>
                )}
            </p>
            <p className="tile-label truncate text-ink" title={shown.note}>
                {shown.note || "\u00a0"}
            </p>
        </div>
    );
}
