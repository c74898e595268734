import type { PatientView } from "../agent/types";
import { t } from "../locales";

/** The second identifier, age and gender beside a name: "MRN 81233 · 72 y F". */
export function identity(patient: PatientView): string {
    const parts = [patient.identifier ?? t.bed.noIdentifier];
    const age = patient.age_years == null ? "" : t.bed.age(patient.age_years);
    const gender = patient.gender ? (t.bed.gender[patient.gender] ?? patient.gender) : "";
    if (age || gender) parts.push([age, gender].filter(Boolean).join(" "));
    if (patient.test) parts.push(t.test);
    return parts.join(" · ");
}
