import { create } from "zustand";
import { type Draft, EMPTY_DRAFT } from "./observations";

interface Drafts {
    byPatient: Record<string, Draft>;
    change(patient: string, change: Partial<Draft>): void;
    drop(patient: string): void;
}

/** Drafts are kept by patient, never by bed: what was typed for one person cannot reach another. */
export const useDrafts = create<Drafts>((set) => ({
    byPatient: {},
    change: (patient, change) =>
        set(({ byPatient }) => ({
            byPatient: { ...byPatient, [patient]: { ...EMPTY_DRAFT, ...byPatient[patient], ...change } },
        })),
    drop: (patient) =>
        set(({ byPatient }) => {
            const { [patient]: _, ...rest } = byPatient;
            return { byPatient: rest };
        }),
}));
