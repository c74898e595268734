// A mock agent and hub in the page's own process: `npm run dev:mock`. A development tool; only `--mode mock` builds hold it.
//
// `?scenario=` chooses what is seen: ward (default), clinic (four beds), empty, offline, unenrolled, hub, hub-empty.
// Sign in as "amina" with 2468; three wrong tries lock for half a minute.

import { bedView, firstAlerts } from "./mock/beds";
import { fleetView, incidentsOf } from "./mock/fleet";
import { waveFrame } from "./mock/waves";
import { type LiveSocket, transport } from "./transport";
import type { AlertView, LiveMessage, Observe, SyncView, WardView } from "./types";

const TRIES_MAX = 3;
const LOCK_S = 30;
const WAVE_BATCH_MS = 200;

/** Lets a test or a developer's console pull the plug. */
declare global {
    interface Window {
        lamplightMock?: { cut(): void; restore(): void; observed: Observe[]; alert(alert: Partial<AlertView>): void };
    }
}

/** Puts the mock in place of the network. */
export function install(): void {
    const mock = new Mock(new URLSearchParams(location.search).get("scenario") ?? "ward");
    transport.fetch = (request) => mock.answer(request);
    transport.socket = () => mock.connect();
    window.lamplightMock = {
        cut: () => mock.cut(),
        restore: () => mock.restore(),
        observed: mock.observed,
        alert: (alert) => mock.raise(alert),
    };
}

class Mock {
    readonly observed: Observe[] = [];
    #tries = 0;
    #lockedUntilMs = 0;
    #reachable = true;
    #alerts = firstAlerts(Date.now());
    #sockets = new Set<MockSocket>();
    #sites: string[];
    #revoked = new Set<string>();
    #waveMs = Date.now();

    constructor(readonly scenario: string) {
        this.#sites = scenario === "hub" ? ["hillside", "lakeside", "riverside"] : [];
        if (!["ward", "offline"].includes(scenario)) {
            this.#alerts = this.#alerts.filter((alert) => scenario === "clinic" && Number(alert.bed) <= this.#beds);
        }
        setInterval(() => this.#tick(), 1000);
        setInterval(() => this.#waves(), WAVE_BATCH_MS);
    }

    get #beds(): number {
        return { empty: 0, clinic: 4 }[this.scenario] ?? 20;
    }

    async answer(request: Request): Promise<Response> {
        await new Promise((done) => setTimeout(done, 60));
        if (!this.#reachable) throw new TypeError("mock: the plug is out");
        const path = new URL(request.url).pathname;
        const [, id = ""] = /\/(?:alerts|beds|sites)\/([^/]+)\//.exec(path) ?? [];
        const body = await request.json().catch(() => ({}));
        const route = `${request.method} ${id ? path.replace(id, "*") : path}`;
        switch (route) {
            case "GET /healthz":
                return json(
                    200,
                    this.scenario.startsWith("hub") ? health("sync-hub", "national") : health("edge-agent", "hillside"),
                );
            case "POST /api/v1/session":
                return this.#signIn(body);
            case "DELETE /api/v1/session":
            case "GET /api/v1/session":
                return json(200, {});
            case "POST /api/v1/alerts/*/acknowledge":
                return this.#acknowledge(id);
            case "POST /api/v1/beds/*/observations":
                this.observed.push(body);
                return json(200, { durable: true, saved_ms: Date.now() });
            case "POST /api/v1/sync/now":
                return json(200, this.#sync());
            case "GET /api/v1/fleet":
                return json(200, fleetView(Date.now(), this.#sites, this.#revoked));
            case "GET /api/v1/incidents":
                return json(200, incidentsOf(this.#sites, Date.now()));
            case "POST /api/v1/sites":
                this.#sites = [...this.#sites, body.site].sort();
                return json(201, {
                    site: body.site,
                    code: "LAMP-7Q4K-M2XN-PINS-93TD",
                    expires_ms: Date.now() + 3_600_000,
                });
            case "POST /api/v1/sites/*/revoke":
                this.#revoked.add(id);
                return json(200, fleetView(Date.now(), [id], this.#revoked).sites[0]);
        }
        return problem(404, "Not Found", `the mock serves no ${route}`);
    }

    connect(): LiveSocket {
        const socket = new MockSocket(() => this.#sockets.delete(socket));
        setTimeout(() => {
            if (!this.#reachable) return socket.fail();
            this.#sockets.add(socket);
            socket.say({ type: "ward", data: this.#ward() });
        }, 60);
        return socket;
    }

    cut(): void {
        this.#reachable = false;
        for (const socket of this.#sockets) socket.fail();
        this.#sockets.clear();
    }

    restore(): void {
        this.#reachable = true;
    }

    raise(change: Partial<AlertView>): void {
        const [first] = firstAlerts(Date.now());
        if (!first) return;
        const alert = { ...first, raised_ms: Date.now(), ...change };
        this.#alerts.push(alert);
        this.#tell({ type: "alert", data: alert });
    }

    #signIn({ user, secret }: { user?: string; secret?: string }): Response {
        const leftS = Math.ceil((this.#lockedUntilMs - Date.now()) / 1000);
        if (leftS > 0) return problem(423, "Locked", "too many wrong tries", { retry_after_s: leftS });
        if (user !== "amina" || secret !== "2468") {
            this.#tries += 1;
            if (this.#tries >= TRIES_MAX) {
                this.#tries = 0;
                this.#lockedUntilMs = Date.now() + LOCK_S * 1000;
            }
            return problem(401, "Unauthorized", "name or secret is wrong");
        }
        const role = this.scenario.startsWith("hub") ? "operator" : "nurse";
        return json(200, { token: "mock", user, display_name: "Amina K.", role, expires_ms: Date.now() + 1_800_000 });
    }

    #acknowledge(id: string): Response {
        const alert = this.#alerts.find((one) => one.id === id);
        if (!alert) return problem(404, "Not Found", `no alert ${id}`);
        Object.assign(alert, { state: "acknowledged", acknowledged_by: "Amina K.", acknowledged_ms: Date.now() });
        this.#tell({ type: "alert", data: { ...alert } });
        return json(200, alert);
    }

    #ward(): WardView {
        const nowMs = Date.now();
        return {
            site: { name: "Hillside clinic", replica: "4be1", version: "0.1.0" },
            as_of_ms: nowMs,
            beds: Array.from({ length: this.#beds }, (_, i) => bedView(i, nowMs)),
            alerts: this.#alerts.map((alert) => ({ ...alert })),
            sync: this.#sync(),
            saving: {},
        };
    }

    #sync(): SyncView {
        const nowMs = Date.now();
        const today = (h: number, m: number) => new Date(nowMs).setHours(h, m, 0, 0);
        const base = {
            since_ms: nowMs - 900_000,
            digest: "9f2c41d0",
            entries_written: 1248,
            entries_sent: 1248,
            entries_acked: 1248,
        };
        if (this.scenario === "unenrolled")
            return { ...base, state: "unenrolled", waiting: 0, entries_sent: 0, entries_acked: 0 };
        if (this.scenario === "offline") {
            const last_sync_ms = today(18, 5) - 86_400_000;
            return {
                ...base,
                state: "offline",
                since_ms: today(0, 5),
                waiting: 17,
                oldest_waiting_ms: nowMs - 7_300_000,
                last_sync_ms,
                digest_equal: true,
            };
        }
        return { ...base, state: "online", waiting: 0, last_sync_ms: nowMs - 8000, digest_equal: true };
    }

    #tick(): void {
        const nowMs = Date.now();
        for (let i = 0; i < this.#beds; i++) this.#tell({ type: "bed", data: bedView(i, nowMs) });
    }

    #waves(): void {
        const fromMs = this.#waveMs;
        const toMs = Date.now();
        this.#waveMs = toMs;
        for (let i = 0; i < Math.min(this.#beds, 18); i++) {
            if (i === 9) continue;
            for (const socket of this.#sockets) socket.send(waveFrame(i, fromMs, toMs));
        }
    }

    #tell(message: LiveMessage): void {
        for (const socket of this.#sockets) socket.say(message);
    }
}

class MockSocket implements LiveSocket {
    binaryType: BinaryType = "arraybuffer";
    onopen: LiveSocket["onopen"] = null;
    onmessage: LiveSocket["onmessage"] = null;
    onclose: LiveSocket["onclose"] = null;

    constructor(readonly close: () => void) {}

    say(message: LiveMessage): void {
        this.send(JSON.stringify(message));
    }

    send(data: string | ArrayBuffer): void {
        this.onmessage?.(new MessageEvent("message", { data }));
    }

    fail(): void {
        this.onclose?.(new CloseEvent("close", { code: 1006 }));
    }
}

const health = (program: string, name: string) => ({ status: "ok", program, version: "0.1.0", name });

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });

const problem = (status: number, title: string, detail: string, more: object = {}) =>
    json(status, { type: "about:blank", title, status, detail, ...more });
