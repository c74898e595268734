import { useMutation } from "@tanstack/react-query";
import { acknowledge } from "../../agent/client";
import { failureOf } from "../../agent/failure";
import type { AlertView } from "../../agent/types";
import { takeAlert } from "../../agent/wardStore";
import { Button } from "../../components/Button";
import { Shape } from "../../components/Shape";
import { SEVERITY_SHAPE } from "../../components/severity";
import { alertText, MARKS } from "../../format/alerts";
import { duration, timeOfDay } from "../../format/time";
import { t } from "../../locales";

interface Props {
    alert: AlertView;
    /** Further alerts of the same patient that this block stands for. */
    others: number;
    nowMs: number;
    /** Another alert was acknowledged a moment ago. */
    resting: boolean;
    onTaken(): void;
}

/**
 * One alert as a filled block: colour, flash, marks and shape together. Acknowledging shows as done only once the agent
 * has answered, because until then nobody else knows that somebody is going.
 */
export function AlertBlock({ alert, others, nowMs, resting, onTaken }: Props) {
    const taking = useMutation({
        mutationFn: () => acknowledge(alert.id),
        onSuccess: (answer) => {
            takeAlert(answer);
            onTaken();
        },
    });
    const taken = alert.state === "acknowledged";
    const text = alertText(alert);
    return (
        <article
            data-testid={`alert-${alert.id}`}
            data-severity={alert.severity}
            data-state={alert.state}
            className={`alarm alarm-${alert.severity} ${taken ? "" : "flashing"} flex h-full min-h-20 items-center gap-3 rounded-lg px-3 py-1`}
        >
            <span className="flex items-center gap-1.5 font-bold text-2xl">
                <Shape name={SEVERITY_SHAPE[alert.severity]} />
                <span className="sr-only">{t.alerts.severity[alert.severity]}</span>
                <span aria-hidden>{MARKS[alert.severity]}</span>
            </span>
            <div className="min-w-0 flex-1 leading-snug" aria-live={alert.severity === "high" ? "assertive" : "polite"}>
                <p className="truncate font-semibold">
                    {t.bed.heading(alert.bed)} · {alert.patient_name || t.alerts.unknownPatient} ·{" "}
                    <span className="font-normal">{t.alerts.raised(duration(nowMs - alert.raised_ms))}</span>
                    {others > 0 && <span className="font-normal"> · {t.alerts.more(others)}</span>}
                </p>
                <p className="line-clamp-2" title={text}>
                    {text}
                </p>
                {taking.isError && (
                    <p role="alert" className="font-semibold">
                        {t.alerts.failed(t.failure(failureOf(taking.error)))}
                    </p>
                )}
            </div>
            {taken ? (
                <span className="whitespace-nowrap font-semibold text-lg" data-testid="alert-taken">
                    {t.alerts.by(alert.acknowledged_by ?? "", timeOfDay(alert.acknowledged_ms ?? alert.raised_ms))}
                </span>
            ) : (
                <Button
                    look="onAlarm"
                    testId="alert-ack"
                    aria-label={t.alerts.acknowledgeLabel(alert.bed, text)}
                    isDisabled={taking.isPending || resting}
                    onPress={() => taking.mutate()}
                    className="min-h-13 shrink-0"
                >
                    {taking.isPending ? t.alerts.saving : t.alerts.acknowledge}
                </Button>
            )}
        </article>
    );
}
