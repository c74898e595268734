import { memo } from "react";
import { Button } from "react-aria-components";
import type { BedView } from "../../agent/types";
import { useWard } from "../../agent/wardStore";
import { ScoreChip, scoreGaps } from "../../components/ScoreChip";
import { Shape } from "../../components/Shape";
import { SEVERITY_SHAPE } from "../../components/severity";
import { useAgentNow } from "../../components/useNow";
import { WaveStrip } from "../../components/wave/WaveStrip";
import { compareAlerts, MARKS } from "../../format/alerts";
import { identity } from "../../format/patient";
import { t } from "../../locales";
import { fill, SLOTS } from "./slots";
import { TileSlot } from "./TileSlot";

interface Props {
    bed: BedView;
    /** False while there is no contact with the agent: no number may look live then. */
    live: boolean;
    isOpen: boolean;
    onOpen(bed: string): void;
}

/** One bed at a glance. The whole tile opens the bed; the button in it is what keyboards and screen readers meet. */
export const Tile = memo(function Tile({ bed, live, isOpen, onOpen }: Props) {
    const nowMs = useAgentNow();
    const patient = bed.patient;
    return (
        <li
            data-testid={`bed-${bed.bed}`}
            className={`tile relative min-w-0 rounded-lg border bg-panel ${isOpen ? "border-2 border-ink" : "border-line"}`}
        >
            <article className="flex h-full flex-col gap-[1.5cqh] overflow-hidden px-[2.2cqw] py-[2.5cqh]">
                <header>
                    <h2 className="tile-title flex items-baseline gap-[0.4em] font-semibold">
                        <Button
                            aria-label={t.bed.open(bed.bed, patient?.name)}
                            onPress={() => onOpen(bed.bed)}
                            className="shrink-0 cursor-pointer rounded font-bold after:absolute after:inset-0 after:content-['']"
                        >
                            {bed.bed}
                        </Button>
                        <span className="truncate">
                            {patient?.name ?? (bed.record_closed ? t.bed.closed : t.bed.empty)}
                        </span>
                    </h2>
                    <div className="tile-label flex items-center justify-between gap-2">
                        <p className="truncate text-quiet">
                            {patient ? identity(patient) : bed.record_closed ? t.bed.closedHelp : t.bed.emptyHelp}
                        </p>
                        {patient && <ScoreChip bed={bed.bed} score={bed.score} live={live} />}
                    </div>
                </header>
                {live && bed.score && <Gaps words={scoreGaps(bed.score)} />}
                {(patient || bed.numerics.length > 0) && (
                    <div className="grid grid-cols-[1.35fr_1.35fr_1fr_1.75fr_1.05fr] gap-[1cqw]">
                        {SLOTS.map((slot) => (
                            <TileSlot
                                key={slot.label}
                                bed={bed}
                                slot={slot}
                                numeric={fill(slot, bed.numerics)}
                                live={live}
                                nowMs={nowMs}
                            />
                        ))}
                    </div>
                )}
                {bed.waves[0] ? <WaveStrip bed={bed.bed} wave={bed.waves[0]} /> : <div className="flex-1" />}
                <Foot bed={bed} />
            </article>
        </li>
    );
});

function Gaps({ words }: { words: string }) {
    if (!words) return null;
    return (
        <p className="tile-label -mt-[1cqh] truncate text-quiet" title={words}>
            {words}
        </p>
    );
}

/** What is wrong at this bed: its gravest open alert, and devices that are not heard. */
function Foot({ bed }: { bed: BedView }) {
    const alerts = useWard((ward) => ward.view?.alerts);
    const alert = alerts?.filter((a) => a.bed === bed.bed).sort(compareAlerts)[0];
    const down = bed.devices.filter((device) => device.state !== "connected");
    return (
        <>
            {down.map((device) => (
                <p key={device.id} className="tile-label flex items-center gap-1.5" title={device.reason}>
                    <Shape name={device.state === "connecting" ? "dots" : "cross"} />
                    <span className="truncate">
                        <strong>{t.device[device.state]}</strong> {device.name}: {device.reason}
                    </span>
                </p>
            ))}
            {alert && (
                <p
                    className={`alarm alarm-${alert.severity} ${alert.state === "created" ? "flashing" : ""} tile-label flex items-center gap-1.5 rounded px-1.5 font-semibold`}
                >
                    <Shape name={SEVERITY_SHAPE[alert.severity]} />
                    <span className="truncate">
                        {alert.state === "acknowledged" ? "✓ " : ""}
                        {alert.text.startsWith("*") ? alert.text : `${MARKS[alert.severity]} ${alert.text}`}
                    </span>
                </p>
            )}
        </>
    );
}
