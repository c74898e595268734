/** What a number pad's keys do to the text being typed. */
export type PadKey = "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "." | "erase" | "clear";

/** Longest text a pad types. */
export const PAD_LENGTH_MAX = 32;

/** The text after a key. A second decimal point does nothing; a leading one is given its zero. */
export function press(text: string, key: PadKey): string {
    if (key === "clear") return "";
    if (key === "erase") return text.slice(0, -1);
    if (text.length >= PAD_LENGTH_MAX) return text;
    if (key === ".") {
        if (text.includes(".")) return text;
        return text === "" ? "0." : `${text}.`;
    }
    return text + key;
}
