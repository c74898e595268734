import type { Session } from "./types";

const KEY = "lamplight.session";

/**
 * The session of this window: it ends with the window, and no URL ever holds its token. `expires_ms` moves with each
 * request, so only the server can tell that a session is over.
 */
export const session = {
    read(): Session | undefined {
        const kept = sessionStorage.getItem(KEY);
        if (!kept) return undefined;
        try {
            const found = JSON.parse(kept) as Session;
            return typeof found.token === "string" ? found : undefined;
        } catch {
            return undefined;
        }
    },
    write(next: Session): void {
        sessionStorage.setItem(KEY, JSON.stringify(next));
    },
    clear(): void {
        sessionStorage.removeItem(KEY);
    },
};
