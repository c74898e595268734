// The one file that speaks HTTP to an agent or a hub. Screens call these functions and know nothing of paths or tokens.

import createClient, { type Middleware } from "openapi-fetch";
import type { paths as AgentPaths } from "../generated/agent";
import type { paths as HubPaths } from "../generated/hub";
import { failureFrom, RequestFailed } from "./failure";
import { type Session, session } from "./session";
import { transport } from "./transport";
import type { AlertView, FleetView, IncidentView, Observe, Saved, SiteCode, SiteRow, SyncView } from "./types";

/** No answer within this is no answer. A sync session may take its stated 30 s. */
const PATIENCE_MS = 10_000;
const SYNC_PATIENCE_MS = 35_000;

const SESSION = "/api/v1/session";

/** Who serves this page. */
export interface Health {
    program: "edge-agent" | "sync-hub";
    version: string;
    name: string;
}

const signedOutListeners = new Set<() => void>();

/** Calls back when the server no longer knows our session. */
export function onSignedOut(listener: () => void): () => void {
    signedOutListeners.add(listener);
    return () => signedOutListeners.delete(listener);
}

const bearer: Middleware = {
    onRequest({ request }) {
        const token = session.read()?.token;
        if (token) request.headers.set("Authorization", `Bearer ${token}`);
        return request;
    },
};

const options = { baseUrl: globalThis.location?.origin ?? "", fetch: (request: Request) => transport.fetch(request) };
const agent = createClient<AgentPaths>(options);
const hub = createClient<HubPaths>(options);
agent.use(bearer);
hub.use(bearer);

interface Answer<T> {
    data?: T;
    error?: unknown;
    response: Response;
}

async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
    const got = await asked.catch(() => {
        throw new RequestFailed({ kind: "unreachable" });
    });
    if (got.response.ok) return got.data as T;
    const failure = failureFrom(got.response.status, got.error);
    if (failure.kind === "signed-out") {
        session.clear();
        for (const listener of signedOutListeners) listener();
    }
    throw new RequestFailed(failure);
}

const patience = (ms = PATIENCE_MS) => ({ signal: AbortSignal.timeout(ms) });

/** Asks who serves this page. Public. */
export async function health(): Promise<Health> {
    return answer<Health>(plain("GET", "/healthz"));
}

/** Signs in; the token is kept for this window. */
export async function signIn(user: string, secret: string): Promise<Session> {
    const got = await plain<Session>("POST", SESSION, { body: { user, secret } }).catch(() => {
        throw new RequestFailed({ kind: "unreachable" });
    });
    if (!got.response.ok || !got.data) throw new RequestFailed(failureFrom(got.response.status, got.error));
    session.write(got.data);
    return got.data;
}

/** Signs out here at once, and at the server if it can be reached. */
export async function signOut(): Promise<void> {
    const gone = plain("DELETE", SESSION, { token: session.read()?.token });
    session.clear();
    await gone.catch(() => undefined);
}

/** Asks whether our session still stands; a refusal reaches [onSignedOut]. */
export async function checkSession(): Promise<void> {
    await answer(plain("GET", SESSION, { token: session.read()?.token }));
}

/** Acknowledges an alert; the answer is the alert as kept. */
export function acknowledge(id: string): Promise<AlertView> {
    return answer(agent.POST("/api/v1/alerts/{id}/acknowledge", { params: { path: { id } }, body: {}, ...patience() }));
}

/** Records a set measured by a person; the answer comes once it is durable. */
export function observe(bed: string, body: Observe): Promise<Saved> {
    return answer(agent.POST("/api/v1/beds/{bed}/observations", { params: { path: { bed } }, body, ...patience() }));
}

/** Starts a sync session and waits for its end. */
export function syncNow(): Promise<SyncView> {
    return answer(agent.POST("/api/v1/sync/now", patience(SYNC_PATIENCE_MS)));
}

/** The fleet as the hub sees it. */
export function fleet(): Promise<FleetView> {
    return answer(hub.GET("/api/v1/fleet", patience()));
}

/** Open incidents, newest first. */
export function incidents(): Promise<IncidentView[]> {
    return answer(hub.GET("/api/v1/incidents", patience()));
}

/** Adds a site and gets its one-time code. */
export function addSite(site: string): Promise<SiteCode> {
    return answer(hub.POST("/api/v1/sites", { body: { site }, ...patience() }));
}

/** Ends a site's membership. */
export function revokeSite(site: string, confirm: string, reason: string): Promise<SiteRow> {
    return answer(
        hub.POST("/api/v1/sites/{site}/revoke", {
            params: { path: { site } },
            body: { confirm, reason },
            ...patience(),
        }),
    );
}

/** A request outside the agent's and hub's own documents: health and sign-in. */
async function plain<T>(
    method: string,
    path: string,
    { token, body }: { token?: string; body?: unknown } = {},
): Promise<Answer<T>> {
    const request = new Request(new URL(path, options.baseUrl), {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? null : JSON.stringify(body),
        ...patience(),
    });
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    const response = await transport.fetch(request);
    const parsed = await response.json().catch(() => undefined);
    return response.ok ? { data: parsed as T, response } : { error: parsed, response };
}
