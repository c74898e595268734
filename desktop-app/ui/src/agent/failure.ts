/** Why a request brought no answer: one tagged union for every call. */
export type Failure =
    | { kind: "unreachable" }
    | { kind: "signed-out" }
    | { kind: "locked"; retryAfterS: number }
    | { kind: "refused"; status: number; title: string; detail: string };

/** Carries a [Failure] through promises. */
export class RequestFailed extends Error {
    constructor(readonly failure: Failure) {
        super(failure.kind);
        this.name = "RequestFailed";
    }
}

/** The failure inside anything thrown; what is not ours counts as unreachable. */
export function failureOf(thrown: unknown): Failure {
    return thrown instanceof RequestFailed ? thrown.failure : { kind: "unreachable" };
}

/** Reads an answer that is not a success: problem+json where the server sent it, else the bare status. */
export function failureFrom(status: number, body: unknown): Failure {
    const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    const text = (key: string) => (typeof problem[key] === "string" ? (problem[key] as string) : "");
    const retryAfterS = problem.retry_after_s;
    if (status === 423) {
        return { kind: "locked", retryAfterS: typeof retryAfterS === "number" ? Math.max(0, retryAfterS) : 60 };
    }
    if (status === 401) return { kind: "signed-out" };
    return { kind: "refused", status, title: text("title") || `HTTP ${status}`, detail: text("detail") };
}
