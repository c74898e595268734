// Bed views of the mock ward, as an agent would send them.

import type { AlertView, BedView, DeviceView, NumericView, ScoreView } from "../types";
import { PEOPLE, type Person } from "./people";

const PARAMETERS = [
    "Respiration rate",
    "SpO₂",
    "Air or oxygen",
    "Systolic blood pressure",
    "Pulse",
    "Consciousness",
    "Temperature",
];
const ACVPU = ["Alert", "Confusion", "Voice", "Pain", "Unresponsive"];

/** Bed `index` at a moment; the last two beds of the ward are empty, one with a device. */
export function bedView(index: number, nowMs: number): BedView {
    const bed = String(index + 1);
    const person = PEOPLE[index];
    if (!person)
        return {
            bed,
            patient: null,
            record_closed: false,
            numerics: [],
            waves: [],
            score: null,
            devices: index === 18 ? [device(bed, nowMs)] : [],
            device_alarms: [],
        };
    const silent = index === 9;
    return {
        bed,
        patient: {
            id: `patient-${bed}`,
            name: person.name,
            birth_date: `${2026 - person.age}-04-0${1 + (index % 9)}`,
            age_years: person.age,
            gender: person.gender,
            identifier: `MRN ${81_200 + index * 37}`,
            test: true,
        },
        record_closed: false,
        numerics: numerics(person, index, nowMs),
        waves: silent ? [] : [wave(index)],
        score: score(person),
        devices: [device(bed, nowMs, silent)],
        device_alarms: [],
    };
}

/** The wave of a bed: ECG from a monitor, or the pulse from an oximeter. */
export function wave(index: number) {
    return index % 3 === 2
        ? { code: "mdc:150452", label: "Pleth", rate_hz: 125, unit: "1" }
        : { code: "mdc:131330", label: "ECG II", rate_hz: 250, unit: "mV" };
}

function device(bed: string, nowMs: number, silent = false): DeviceView {
    return {
        id: `device-${bed}`,
        name: "GE Carescape B450",
        protocol: "ge.dri",
        state: silent ? "disconnected" : "connected",
        reason: silent ? "No bytes for 42 s. Check the serial cable and that the monitor is on." : "",
        last_data_ms: silent ? nowMs - 42_000 : nowMs,
        bed,
        battery_percent: null,
        clock_offset_ms: 1200,
    };
}

function numerics(person: Person, index: number, nowMs: number): NumericView[] {
    const bed = String(index + 1);
    const sway = Math.round(Math.sin(nowMs / 4000 + index) * 1.4);
    // Bed 10's monitor has fallen silent, bed 8's finger clip is off, bed 12 counts breaths every half minute.
    const streamedMs = index === 9 ? nowMs - 75_000 : nowMs - 600;
    const one = (
        key: string,
        code: string,
        label: string,
        value: number | null,
        unit: string,
        shown: string,
        measured_ms: number,
        status = "ok",
    ): NumericView => ({
        key,
        code,
        label,
        value,
        unit,
        unit_shown: shown,
        status,
        measured_ms,
        device: `device-${bed}`,
        points: null,
    });
    const clipOff = index === 7;
    const spotMs = nowMs - 3_600_000 - index * 260_000;
    const list = [
        one("heart-rate", "8867-4", "HR", person.hr + sway, "/min", "/min", streamedMs),
        one(
            "spo2",
            "59408-5",
            "SpO₂",
            clipOff ? null : Math.min(100, person.spo2 + Math.sign(sway)),
            "%",
            "%",
            streamedMs,
            clipOff ? "sensor-off" : "ok",
        ),
        one("respiratory-rate", "9279-1", "RR", person.rr, "/min", "/min", index === 11 ? nowMs - 31_000 : streamedMs),
        one("nibp-systolic", "8480-6", "NIBP sys", person.systolic, "mm[Hg]", "mmHg", spotMs),
        one("nibp-diastolic", "8462-4", "NIBP dia", person.diastolic, "mm[Hg]", "mmHg", spotMs),
        one("temperature", "8310-5", "Temp", person.temperature, "Cel", "°C", spotMs),
    ];
    if (person.oxygen !== null)
        list.push(one("inspired-oxygen", "3151-8", "O₂", person.oxygen, "L/min", "L/min", spotMs));
    if (person.acvpu !== null) list.push(one("consciousness", "80288-4", "ACVPU", person.acvpu, "{score}", "", spotMs));
    return list;
}

function score(person: Person): ScoreView {
    const values = [
        `${person.rr} /min`,
        `${person.spo2} %`,
        person.oxygen ? `oxygen ${person.oxygen} L/min` : "air",
        `${person.systolic} mmHg`,
        `${person.hr} /min`,
        ACVPU[person.acvpu ?? 0] ?? "",
        `${person.temperature} °C`,
    ];
    const known = person.points.map((points, i) => ({
        points,
        parameter: PARAMETERS[i] ?? "",
        value: values[i] ?? "",
    }));
    const parts = known.flatMap(({ points, ...part }) => (points === null ? [] : [{ ...part, points, age_s: 40 }]));
    const missing = known.filter((part) => part.points === null).map((part) => part.parameter);
    const sum = parts.reduce((total, part) => total + part.points, 0);
    const single_three = parts.some((part) => part.points === 3);
    const band = sum >= 7 ? "high" : sum >= 5 ? "medium" : single_three ? "low-medium" : "low";
    return {
        name: "NEWS2",
        total: missing.length > 0 ? null : sum,
        at_least: sum,
        text: missing.length > 0 ? `at least ${sum}` : String(sum),
        band,
        single_three,
        response: RESPONSES[band],
        parts,
        missing,
        stale: [],
        rules: "news2-2017/1",
    };
}

const RESPONSES = {
    low: "Observe at least every 4 to 12 hours.",
    "low-medium": "Urgent review by a ward doctor; observe at least hourly.",
    medium: "Urgent assessment by a clinician with competence in acute illness; observe at least hourly.",
    high: "Emergency assessment by a team with critical-care competence; observe continuously.",
};

/** The alerts open when the mock ward starts. */
export function firstAlerts(nowMs: number): AlertView[] {
    const alert = (
        id: string,
        index: number,
        severity: AlertView["severity"],
        text: string,
        agoMs: number,
    ): AlertView => ({
        id,
        bed: String(index + 1),
        patient: `patient-${index + 1}`,
        patient_name: PEOPLE[index]?.name ?? "",
        severity,
        state: "created",
        text,
        raised_ms: nowMs - agoMs,
        acknowledged_by: null,
        acknowledged_ms: null,
        latency_us: 4100,
    });
    return [
        alert("a1", 5, "medium", "** NEWS2 9: SpO₂ 93 %, RR 22 /min", 340_000),
        alert("a2", 13, "high", "*** NEWS2 17: RR 24 /min, BP systolic 88 mmHg, pulse 134 /min", 95_000),
        alert("a3", 1, "high", "*** NEWS2 13: SpO₂ 88 %, RR 26 /min", 12_000),
        alert("a4", 3, "low", "* NEWS2 at least 2: consciousness and oxygen never recorded", 1_200_000),
        {
            ...alert("a5", 16, "medium", "** NEWS2 single 3: consciousness Confusion", 1_900_000),
            state: "acknowledged",
            acknowledged_by: "Amina K.",
            acknowledged_ms: nowMs - 1_500_000,
        },
        alert("a6", 13, "medium", "** Temperature 39.3 °C", 60_000),
    ];
}
