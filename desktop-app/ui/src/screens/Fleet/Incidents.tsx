import type { IncidentView } from "../../agent/types";
import { Shape } from "../../components/Shape";
import { moment } from "../../format/time";
import { t } from "../../locales";

/** What must not pass unnoticed: the open ones, then those somebody has closed. */
export function Incidents({ incidents }: { incidents: IncidentView[] }) {
    return (
        <section className="flex flex-col gap-2">
            <h2 className="font-semibold text-xl">{t.fleet.incidents}</h2>
            {incidents.every((incident) => incident.closed) && <p className="text-quiet">{t.fleet.noIncidents}</p>}
            <ul className="flex flex-col gap-2">
                {incidents.map((incident) => (
                    <li
                        key={incident.id}
                        className={`flex flex-wrap items-center gap-x-4 rounded-lg border border-line border-l-8 bg-panel px-4 py-3 ${incident.closed ? "text-quiet" : "border-l-danger"}`}
                    >
                        <span className="flex items-center gap-2 font-semibold">
                            <Shape name="cross" /> {t.fleet.incident[incident.kind] ?? incident.kind}
                        </span>
                        <span className="font-semibold">{incident.site}</span>
                        <span>{incident.detail}</span>
                        {incident.closed && (
                            <span>{t.fleet.closedIncident(incident.closed.by, incident.closed.reason)}</span>
                        )}
                        <time className="ml-auto text-quiet">{moment(incident.at_ms, Date.now())}</time>
                    </li>
                ))}
            </ul>
        </section>
    );
}
