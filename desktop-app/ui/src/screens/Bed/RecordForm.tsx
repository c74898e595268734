import { type FormEvent, useId, useRef, useState } from "react";
import { observe } from "../../agent/client";
import { failureOf } from "../../agent/failure";
import type { PatientView } from "../../agent/types";
import { Button } from "../../components/Button";
import { Choice } from "../../components/Choice";
import { NumberPad } from "../../components/NumberPad";
import { Once } from "../../components/once";
import { timeWithSeconds } from "../../format/time";
import { t } from "../../locales";
import { useDrafts } from "./drafts";
import { EMPTY_DRAFT, NUMBER_FIELDS, type NumberField, OXYGEN_FLOW, readDraft } from "./observations";

/** Records a set measured by a person, for the patient named above it and nobody else. */
export function RecordForm({ bed, patient }: { bed: string; patient: PatientView }) {
    const draft = useDrafts((drafts) => drafts.byPatient[patient.id]) ?? EMPTY_DRAFT;
    const change = useDrafts((drafts) => drafts.change);
    const drop = useDrafts((drafts) => drafts.drop);
    const [target, setTarget] = useState<NumberField>(NUMBER_FIELDS[0] ?? OXYGEN_FLOW);
    const [told, setTold] = useState("");
    const [saving, setSaving] = useState(false);
    const once = useRef(new Once());
    const confirmed = useRef("");
    const titleId = useId();

    const setNumber = (field: NumberField, text: string) => {
        setTold("");
        change(patient.id, { numbers: { ...draft.numbers, [field.code]: text } });
    };

    const save = async () => {
        const reading = readDraft(draft);
        const [invalid] = reading.invalid;
        if (invalid) return setTold(t.record.notANumber(invalid.label));
        if (reading.values.length === 0) return setTold(t.record.nothing);
        const unusual = reading.unusual.join(", ");
        if (unusual !== confirmed.current) {
            confirmed.current = unusual;
            if (unusual) return setTold(t.record.unusual(unusual));
        }
        setSaving(true);
        try {
            const saved = await observe(bed, { patient: patient.id, values: reading.values });
            drop(patient.id);
            confirmed.current = "";
            setTold(t.record.saved(timeWithSeconds(saved.saved_ms)));
        } catch (thrown) {
            setTold(t.record.failed(t.failure(failureOf(thrown))));
        } finally {
            setSaving(false);
        }
    };
    const submit = (event: FormEvent) => {
        event.preventDefault();
        void once.current.run(Date.now(), save);
    };

    const onOxygen = draft.breathing === "oxygen";
    const fields = onOxygen ? [...NUMBER_FIELDS, OXYGEN_FLOW] : NUMBER_FIELDS;
    return (
        <form onSubmit={submit} aria-labelledby={titleId} className="flex flex-col gap-4">
            <h3 id={titleId} className="font-semibold text-lg">
                {t.record.title}
            </h3>
            <Choice
                label={t.record.consciousness}
                visibleLabel
                value={draft.consciousness}
                onChange={(consciousness) => change(patient.id, { consciousness })}
                options={t.record.levels.map((level) => ({
                    value: String(level.value),
                    label: level.word,
                    testId: `acvpu-${level.letter}`,
                }))}
            />
            <Choice
                label={t.record.oxygen}
                visibleLabel
                value={draft.breathing}
                onChange={(breathing) => {
                    change(patient.id, { breathing });
                    if (breathing === "oxygen") setTarget(OXYGEN_FLOW);
                }}
                options={[
                    { value: "air", label: t.record.air, testId: "breathing-air" },
                    { value: "oxygen", label: t.record.onOxygen, testId: "breathing-oxygen" },
                ]}
            />
            <div className="flex gap-5">
                <div className="flex min-w-0 flex-1 flex-col gap-2">
                    {fields.map((field) => (
                        <label key={field.code} className="flex items-center gap-2">
                            <span className="min-w-0 flex-1 text-sm">{field.label}</span>
                            <input
                                data-testid={`record-${field.code}`}
                                inputMode="decimal"
                                autoComplete="off"
                                value={draft.numbers[field.code] ?? ""}
                                onFocus={() => setTarget(field)}
                                onChange={(e) => setNumber(field, e.target.value)}
                                className={`min-h-11 w-20 rounded-lg border bg-ground px-2 text-right text-lg ${field.code === target.code ? "border-2 border-ink" : "border-line"}`}
                            />
                            <span className="w-12 text-quiet text-sm">{field.unitShown}</span>
                        </label>
                    ))}
                </div>
                <NumberPad
                    value={draft.numbers[target.code] ?? ""}
                    onChange={(text) => setNumber(target, text)}
                    decimal={target.decimal}
                />
            </div>
            <div className="flex items-center gap-4">
                <Button type="submit" look="primary" testId="record-save" className="min-h-(--key) min-w-36 text-xl">
                    {saving ? t.record.saving : t.record.save}
                </Button>
                <p role="status" data-testid="record-told">
                    {told}
                </p>
            </div>
        </form>
    );
}
