import { create } from "zustand";

export type Theme = "day" | "night" | "hub";

const KEY = "lamplight.theme";

function show(theme: Theme): void {
    document.documentElement.dataset.theme = theme;
}

function remembered(): Theme {
    return globalThis.localStorage?.getItem(KEY) === "night" ? "night" : "day";
}

interface ThemeState {
    theme: Theme;
    /** Chooses and remembers for this display. */
    choose(theme: "day" | "night"): void;
    /** The hub's page is light, whatever a ward display remembers. */
    hub(): void;
}

export const useTheme = create<ThemeState>((set) => ({
    theme: remembered(),
    choose(theme) {
        localStorage.setItem(KEY, theme);
        show(theme);
        set({ theme });
    },
    hub() {
        show("hub");
        set({ theme: "hub" });
    },
}));

/** Shows the remembered theme; called once before the first paint. */
export function startTheme(): void {
    show(useTheme.getState().theme);
}
