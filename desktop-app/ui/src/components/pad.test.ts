import { describe, expect, test } from "vitest";
import { Once, REPEAT_MS } from "./once";
import { PAD_LENGTH_MAX, type PadKey, press } from "./pad";

const typed = (...keys: PadKey[]) => keys.reduce(press, "");

describe("the number pad", () => {
    test("types digits, leading zeros too, as a PIN needs", () => expect(typed("0", "0", "4", "2")).toBe("0042"));
    test("takes one decimal point", () => expect(typed("3", "7", ".", "2", ".")).toBe("37.2"));
    test("gives a leading point its zero", () => expect(typed(".", "5")).toBe("0.5"));
    test("erases one, and nothing from nothing", () => {
        expect(typed("1", "2", "erase")).toBe("1");
        expect(typed("erase")).toBe("");
    });
    test("clears all", () => expect(typed("1", "2", "clear")).toBe(""));
    test("stops at its limit", () => {
        const full = "1".repeat(PAD_LENGTH_MAX);
        expect(press(full, "2")).toBe(full);
        expect(press(full, "erase")).toHaveLength(PAD_LENGTH_MAX - 1);
    });
});

describe("saving once", () => {
    test("a second tap within half a second does nothing, one after it does", async () => {
        const once = new Once();
        let ran = 0;
        const act = async () => void ran++;
        expect(await once.run(0, act)).toBe(true);
        expect(await once.run(REPEAT_MS - 1, act)).toBe(false);
        expect(await once.run(REPEAT_MS, act)).toBe(true);
        expect(ran).toBe(2);
    });
    test("nothing starts while the last is under way, and a failure frees it", async () => {
        const once = new Once();
        let fail = () => {};
        const first = once.run(0, () => new Promise((_, reject) => (fail = () => reject(new Error("lost")))));
        expect(await once.run(10_000, async () => {})).toBe(false);
        fail();
        await expect(first).rejects.toThrow("lost");
        expect(await once.run(10_001, async () => {})).toBe(true);
    });
});
