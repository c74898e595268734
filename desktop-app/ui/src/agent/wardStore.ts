// The live ward as React sees it, and the way waves reach their strips without passing through React.

import { create } from "zustand";
import { checkSession } from "./client";
import { failureOf } from "./failure";
import { LiveStream } from "./live";
import type { AlertView, SyncView } from "./types";
import { applyMessage, loseContact, UNKNOWN_WARD, type Ward } from "./ward";
import type { WaveBlock } from "./waveFrame";

export const useWard = create<Ward>(() => UNKNOWN_WARD);

type WaveListener = (block: WaveBlock) => void;
const strips = new Map<string, Set<WaveListener>>();
const stripKey = (bed: string, code: string) => `${bed}\u0000${code}`;

/** Hears the blocks of one wave of one bed; the returned function ends it. */
export function onWave(bed: string, code: string, listener: WaveListener): () => void {
    const key = stripKey(bed, code);
    const listeners = strips.get(key) ?? new Set();
    listeners.add(listener);
    strips.set(key, listeners);
    return () => {
        listeners.delete(listener);
        if (listeners.size === 0) strips.delete(key);
    };
}

/** A session ends unless something is asked now and then, and a board that fell back to sign-in would show no alarm. */
const KEEP_SESSION_MS = 5 * 60_000;

/** Follows the ward until the returned function is called. */
export function followWard(token: string): () => void {
    const stream = new LiveStream(token, {
        onMessage: (message) => useWard.setState((ward) => applyMessage(ward, message, Date.now())),
        onWave: (block) => {
            for (const listener of strips.get(stripKey(block.header.bed, block.header.code)) ?? []) listener(block);
        },
        onLost: () => useWard.setState((ward) => loseContact(ward, Date.now())),
        stillThere: () =>
            checkSession().then(
                () => true,
                (thrown) => failureOf(thrown).kind !== "unreachable",
            ),
    });
    stream.open();
    const keep = setInterval(() => void checkSession().catch(() => undefined), KEEP_SESSION_MS);
    return () => {
        clearInterval(keep);
        stream.close();
        useWard.setState(UNKNOWN_WARD, true);
    };
}

/** Takes the server's answer to an acknowledgement without waiting for the stream to repeat it. */
export function takeAlert(alert: AlertView): void {
    useWard.setState((ward) => applyMessage(ward, { type: "alert", data: alert }, Date.now()));
}

/** Takes the server's answer to "sync now". */
export function takeSync(sync: SyncView): void {
    useWard.setState((ward) => applyMessage(ward, { type: "sync", data: sync }, Date.now()));
}
