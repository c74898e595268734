import { describe, expect, test } from "vitest";
import { EMPTY_DRAFT, readDraft } from "./observations";

describe("a draft", () => {
    test("that is empty sends nothing: no default is ever guessed", () =>
        expect(readDraft(EMPTY_DRAFT)).toEqual({ values: [], invalid: [], unusual: [] }));
    test("sends codes with their own UCUM units", () =>
        expect(readDraft({ consciousness: "1", breathing: "air", numbers: { temperature: "37.2" } }).values).toEqual([
            { code: "temperature", value: 37.2, unit: "Cel" },
            { code: "inspired-oxygen", value: 0, unit: "L/min" },
            { code: "consciousness", value: 1, unit: "{score}" },
        ]));
    test("takes a decimal comma", () =>
        expect(readDraft({ ...EMPTY_DRAFT, numbers: { temperature: "37,2" } }).values[0]?.value).toBe(37.2));
    test("on oxygen needs its flow", () =>
        expect(readDraft({ ...EMPTY_DRAFT, breathing: "oxygen" }).invalid.map((f) => f.code)).toEqual([
            "inspired-oxygen",
        ]));
    test("on air does not send a flow typed before", () =>
        expect(readDraft({ ...EMPTY_DRAFT, breathing: "air", numbers: { "inspired-oxygen": "4" } }).values).toEqual([
            { code: "inspired-oxygen", value: 0, unit: "L/min" },
        ]));
    test.each(["abc", "1e2", "-3", "1.2.3", "0x10", "9999"])("refuses %s as a number", (text) =>
        expect(readDraft({ ...EMPTY_DRAFT, numbers: { spo2: text } }).invalid).toHaveLength(1),
    );
    test("asks about values at the first step outside the usual", () => {
        const asked = (text: string) => readDraft({ ...EMPTY_DRAFT, numbers: { temperature: text } }).unusual;
        expect(asked("42")).toEqual([]);
        expect(asked("42.1")).toEqual(["Temperature 42.1 °C"]);
        expect(asked("33")).toEqual([]);
    });
});
