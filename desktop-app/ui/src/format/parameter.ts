/** The CSS colour variable of a parameter: fixed position and label carry the meaning, the hue only helps. */
export function parameterColour(key: string): string {
    if (key.startsWith("heart-rate") || key.startsWith("pulse-rate") || key.startsWith("ecg")) return "var(--hr)";
    if (key === "spo2" || key === "pleth" || key === "perfusion-index") return "var(--spo2)";
    if (key.startsWith("resp")) return "var(--rr)";
    if (key.startsWith("nibp")) return "var(--nibp)";
    if (key.startsWith("temp")) return "var(--temp)";
    if (key.startsWith("abp")) return "var(--ibp)";
    if (key.includes("co2")) return "var(--co2)";
    return "var(--ink)";
}

/** The same for a wave, which the contract names by its label ("ECG II", "Pleth"). */
export function waveColour(label: string): string {
    return parameterColour(
        label
            .toLowerCase()
            .replace("₂", "2")
            .replace(/^resp.*/, "resp"),
    );
}
