import { useEffect, useId, useRef, useState } from "react";
import type { BedView } from "../../agent/types";
import { Button } from "../../components/Button";
import { ScoreChip, scoreGaps } from "../../components/ScoreChip";
import { identity } from "../../format/patient";
import { t } from "../../locales";
import { DeviceList } from "./DeviceList";
import { MeasuredTable } from "./MeasuredTable";
import { RecordForm } from "./RecordForm";
import { ScoreTable } from "./ScoreTable";

interface Props {
    bed: BedView;
    live: boolean;
    nowMs: number;
    onClose(): void;
}

/**
 * A bed's chart and form, beside the board and below the alert bar: it is not modal, so that an alert for any other bed
 * stays visible and can be acknowledged while somebody types.
 */
export function BedPanel({ bed, live, nowMs, onClose }: Props) {
    const panel = useRef<HTMLElement>(null);
    const titleId = useId();
    const [openedFor, setOpenedFor] = useState(bed.patient ?? undefined);
    useEffect(() => panel.current?.focus(), []);

    const patient = bed.patient ?? undefined;
    const changed = patient?.id !== openedFor?.id;
    return (
        <aside
            ref={panel}
            role="dialog"
            aria-labelledby={titleId}
            tabIndex={-1}
            data-testid="bed-panel"
            onKeyDown={(event) => event.key === "Escape" && onClose()}
            className="absolute inset-y-0 right-0 z-10 flex w-full max-w-265 flex-col border-line border-l-2 bg-panel shadow-2xl"
        >
            <header className="flex items-center gap-4 border-line border-b px-5 py-3">
                <div className="min-w-0">
                    <h2 id={titleId} className="truncate font-semibold text-2xl">
                        {t.bed.heading(bed.bed)} · {patient?.name ?? (bed.record_closed ? t.bed.closed : t.bed.empty)}
                    </h2>
                    {patient && (
                        <p className="truncate text-quiet">
                            {identity(patient)}
                            {patient.birth_date && ` · ${t.bed.born(patient.birth_date)}`}
                        </p>
                    )}
                </div>
                <Button onPress={onClose} testId="bed-close" className="ml-auto">
                    {t.close}
                </Button>
            </header>
            {changed ? (
                <div role="alert" className="m-5 flex flex-col items-start gap-3 rounded-lg border-4 border-ink p-5">
                    <p className="font-semibold text-xl">{t.bed.changed}</p>
                    <p>{t.bed.changedHelp(openedFor?.name ?? t.bed.nobody, patient?.name ?? t.bed.nobody)}</p>
                    <Button look="primary" onPress={() => setOpenedFor(patient)}>
                        {t.bed.changedGo(patient?.name ?? t.bed.nobody)}
                    </Button>
                </div>
            ) : (
                <div className="grid min-h-0 flex-1 content-start gap-6 overflow-auto p-5 lg:grid-cols-[34rem_minmax(0,1fr)]">
                    {patient ? (
                        <RecordForm key={patient.id} bed={bed.bed} patient={patient} />
                    ) : (
                        <p>{bed.record_closed ? t.bed.closedHelp : t.bed.emptyHelp}</p>
                    )}
                    <div className="flex min-w-0 flex-col gap-5">
                        {patient && live && bed.score && (
                            <section className="flex flex-col gap-2">
                                <h3 className="font-semibold text-lg">{t.score.title(bed.score.name)}</h3>
                                <ScoreChip bed={`panel-${bed.bed}`} score={bed.score} live={live} className="w-fit" />
                                <p className="text-quiet">{scoreGaps(bed.score)}</p>
                                <ScoreTable score={bed.score} />
                            </section>
                        )}
                        <MeasuredTable bed={bed} live={live} nowMs={nowMs} />
                        <DeviceList devices={bed.devices} nowMs={nowMs} />
                    </div>
                </div>
            )}
        </aside>
    );
}
