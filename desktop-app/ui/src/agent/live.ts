// The live stream: one socket, opened again whenever it falls, and what it says handed on.

import { type LiveSocket, transport } from "./transport";
import type { LiveMessage } from "./types";
import { parseWaveFrame, type WaveBlock } from "./waveFrame";

const SUBPROTOCOL = "lamplight.live.v1";
const TOKEN_PREFIX = "lamplight.token.";

/** First wait before opening again; it doubles up to the longest. */
const RETRY_FIRST_MS = 500;
const RETRY_LONGEST_MS = 5_000;
/** A stream silent for this long is asked whether it still lives. */
const SILENCE_MS = 10_000;

export interface LiveEvents {
    onMessage(message: LiveMessage): void;
    onWave(block: WaveBlock): void;
    /** The socket is gone; it is being opened again. */
    onLost(): void;
    /** Answers whether the agent is there and still knows us; asked after silence and after a failed opening. */
    stillThere(): Promise<boolean>;
}

export class LiveStream {
    #socket: LiveSocket | undefined;
    #retry: ReturnType<typeof setTimeout> | undefined;
    #silence: ReturnType<typeof setInterval> | undefined;
    #waitMs = RETRY_FIRST_MS;
    #heardMs = 0;
    #closed = false;

    constructor(
        readonly token: string,
        readonly events: LiveEvents,
    ) {}

    open(): void {
        const url = new URL("/api/v1/live", globalThis.location.origin);
        url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
        const socket = transport.socket(url.href, [SUBPROTOCOL, TOKEN_PREFIX + this.token]);
        this.#socket = socket;
        this.#heardMs = Date.now();
        socket.binaryType = "arraybuffer";
        socket.onmessage = (event) => this.#receive(event.data);
        socket.onclose = () => this.#lost(socket);
        this.#silence ??= setInterval(() => void this.#checkSilence(), SILENCE_MS / 2);
    }

    /** Ends the stream for good. */
    close(): void {
        this.#closed = true;
        clearTimeout(this.#retry);
        clearInterval(this.#silence);
        this.#socket?.close();
    }

    #receive(data: unknown): void {
        this.#heardMs = Date.now();
        if (data instanceof ArrayBuffer) {
            const block = parseWaveFrame(data);
            if (block) this.events.onWave(block);
            return;
        }
        const message = parseMessage(data);
        if (!message) return;
        this.#waitMs = RETRY_FIRST_MS;
        this.events.onMessage(message);
    }

    #lost(socket: LiveSocket): void {
        if (this.#closed || socket !== this.#socket) return;
        this.#socket = undefined;
        this.events.onLost();
        // A browser hides why a socket was refused; this request finds out whether our session ended.
        void this.events.stillThere();
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.open(), this.#waitMs);
        this.#waitMs = Math.min(this.#waitMs * 2, RETRY_LONGEST_MS);
    }

    async #checkSilence(): Promise<void> {
        const socket = this.#socket;
        if (!socket || Date.now() - this.#heardMs < SILENCE_MS) return;
        if (await this.events.stillThere()) return;
        // A dead link may take minutes to report its end.
        socket.onclose = null;
        socket.close();
        this.#lost(socket);
    }
}

const TYPES = new Set(["ward", "bed", "alert", "device", "sync", "stored"]);

/** A text frame, or undefined for one this version does not know. */
export function parseMessage(data: unknown): LiveMessage | undefined {
    if (typeof data !== "string") return undefined;
    try {
        const message = JSON.parse(data) as LiveMessage;
        return TYPES.has(message?.type) ? message : undefined;
    } catch {
        return undefined;
    }
}
