/** What sign-in hands out: the body of `POST /api/v1/session`. */
export interface Session {
    token: string;
    user: string;
    display_name: string;
    role: "nurse" | "technician" | "operator" | "admin";
    /** When it ends if nothing more is asked, ms since 1970: each request moves it, so only the server can tell. */
    expires_ms: number;
}

const KEY = "lamplight.session";

/** The session of this window: it ends with the window, and no URL ever holds its token. */
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
