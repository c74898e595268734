import type { BedView } from "../../agent/types";
import { shownNumeric } from "../../format/numeric";
import { parameterColour } from "../../format/parameter";
import { t } from "../../locales";

/** Every latest value of a bed, those without a place on the tile too. */
export function MeasuredTable({ bed, live, nowMs }: { bed: BedView; live: boolean; nowMs: number }) {
    return (
        <section className="flex flex-col gap-1">
            <h3 className="font-semibold text-lg">{t.bed.now}</h3>
            {bed.numerics.length === 0 && <p className="text-quiet">{t.bed.noValues}</p>}
            <ul className="grid grid-cols-2 gap-x-5">
                {bed.numerics.map((numeric) => {
                    const shown = shownNumeric(numeric, live, nowMs);
                    return (
                        <li
                            key={`${numeric.code} ${numeric.key}`}
                            data-testid={`chart-${bed.bed}-${numeric.key}`}
                            className="flex items-baseline gap-1.5 whitespace-nowrap border-line border-t py-1"
                        >
                            <span style={{ color: parameterColour(numeric.key) }}>{numeric.label}</span>
                            <span className="ml-auto font-semibold text-lg">{shown.digits}</span>
                            <span className="w-10 text-quiet text-sm">{numeric.unit_shown}</span>
                            <span className="w-12 truncate text-quiet text-sm">{shown.note}</span>
                        </li>
                    );
                })}
            </ul>
        </section>
    );
}
