// The one file that speaks HTTP to an agent or a hub. Screens call these functions and know nothing of paths or tokens.

import createClient, { type Middleware } from "openapi-fetch";
import type { paths as AgentPaths } from "../generated/agent";
import type { paths as HubPaths } from "../generated/hub";
import { failureFrom, failureOf, RequestFailed } from "./failure";
import { session } from "./session";
import { transport } from "./transport";
import type {
    AlertView,
    FleetView,
    Health,
    IncidentView,
    Observe,
    Saved,
    Session,
    SiteCode,
    SiteRow,
    SyncView,
} from "./types";

/** No answer within this is no answer. A sync session may take its stated 30 s. */
const PATIENCE_MS = 10_000;
const SYNC_PATIENCE_MS = 35_000;

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

async function settle<T>(asked: Promise<Answer<T>>): Promise<T> {
    const got = await asked.catch(() => {
        throw new RequestFailed({ kind: "unreachable" });
    });
    if (got.response.ok) return got.data as T;
    throw new RequestFailed(failureFrom(got.response.status, got.error));
}

/** As [settle]; an answer that our session is over is told to everyone who listens. */
async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
    return settle(asked).catch((thrown) => {
        if (failureOf(thrown).kind === "signed-out") {
            session.clear();
            for (const listener of signedOutListeners) listener();
        }
        throw thrown;
    });
}

const patience = (ms = PATIENCE_MS) => ({ signal: AbortSignal.timeout(ms) });

/** Asks who serves this page. Public. */
export function health(): Promise<Health> {
    return settle(agent.GET("/healthz", patience()));
}

/** Signs in; the token is kept for this window. */
export async function signIn(user: string, secret: string): Promise<Session> {
    const opened = await settle(agent.POST("/api/v1/session", { body: { user, secret }, ...patience() }));
    session.write(opened);
    return opened;
}

/** Signs out here at once, and at the server if it can be reached. */
export async function signOut(): Promise<void> {
    const headers = { Authorization: `Bearer ${session.read()?.token}` };
    session.clear();
    await agent.DELETE("/api/v1/session", { headers, ...patience() }).catch(() => undefined);
}

/** Asks whether our session still stands; a refusal reaches [onSignedOut]. */
export async function checkSession(): Promise<void> {
    await answer(agent.GET("/api/v1/session", patience()));
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
