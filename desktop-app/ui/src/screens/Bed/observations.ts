// What a nurse may type at a bed, and how it becomes the body of one request. Pure.

import type { ObservedValue } from "../../agent/types";
import { t } from "../../locales";

/** A value typed as a number. */
export interface NumberField {
    code: "temperature" | "respiratory-rate" | "spo2" | "pulse-rate" | "nibp-systolic" | "inspired-oxygen";
    label: string;
    /** UCUM, as sent. */
    unit: string;
    unitShown: string;
    decimal: boolean;
    /** Outside this a value is asked about once. */
    usual: readonly [low: number, high: number];
}

export const OXYGEN_FLOW: NumberField = {
    code: "inspired-oxygen",
    label: t.record.flow,
    unit: "L/min",
    unitShown: "L/min",
    decimal: true,
    usual: [0.25, 15],
};

export const NUMBER_FIELDS: readonly NumberField[] = [
    {
        code: "respiratory-rate",
        label: t.record.respiratory,
        unit: "/min",
        unitShown: "/min",
        decimal: false,
        usual: [4, 60],
    },
    { code: "spo2", label: t.record.spo2, unit: "%", unitShown: "%", decimal: false, usual: [60, 100] },
    {
        code: "nibp-systolic",
        label: t.record.systolic,
        unit: "mm[Hg]",
        unitShown: "mmHg",
        decimal: false,
        usual: [60, 250],
    },
    { code: "pulse-rate", label: t.record.pulse, unit: "/min", unitShown: "/min", decimal: false, usual: [30, 200] },
    { code: "temperature", label: t.record.temperature, unit: "Cel", unitShown: "°C", decimal: true, usual: [33, 42] },
];

/** What has been typed for one patient and not saved yet. */
export interface Draft {
    /** ACVPU as its number, 0 to 4, in text. */
    consciousness: string | null;
    breathing: "air" | "oxygen" | null;
    /** Text by field code, as typed. */
    numbers: Partial<Record<NumberField["code"], string>>;
}

export const EMPTY_DRAFT: Draft = { consciousness: null, breathing: null, numbers: {} };

/** What a draft comes to: values to send, or what stands in the way. */
export interface Reading {
    values: ObservedValue[];
    /** Fields whose text is no number. */
    invalid: NumberField[];
    /** Values worth a second look, in words. */
    unusual: string[];
}

/** Reads a draft. Nothing is guessed: an empty field sends nothing. */
export function readDraft(draft: Draft): Reading {
    const reading: Reading = { values: [], invalid: [], unusual: [] };
    for (const field of NUMBER_FIELDS) readNumber(field, draft.numbers[field.code], reading);
    if (draft.breathing === "air") reading.values.push({ code: "inspired-oxygen", value: 0, unit: "L/min" });
    if (draft.breathing === "oxygen") {
        const flow = draft.numbers["inspired-oxygen"] ?? "";
        if (flow.trim() === "") reading.invalid.push(OXYGEN_FLOW);
        readNumber(OXYGEN_FLOW, flow, reading);
    }
    if (draft.consciousness !== null) {
        reading.values.push({ code: "consciousness", value: Number(draft.consciousness), unit: "{score}" });
    }
    return reading;
}

function readNumber(field: NumberField, text: string | undefined, reading: Reading): void {
    const typed = (text ?? "").trim().replace(",", ".");
    if (typed === "") return;
    if (!/^\d{1,3}(\.\d{0,2})?$/.test(typed)) {
        reading.invalid.push(field);
        return;
    }
    const value = Number(typed);
    reading.values.push({ code: field.code, value, unit: field.unit });
    if (value < field.usual[0] || value > field.usual[1]) {
        reading.unusual.push(`${field.label} ${typed} ${field.unitShown}`);
    }
}
