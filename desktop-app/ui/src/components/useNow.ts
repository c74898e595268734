import { useSyncExternalStore } from "react";
import { useWard } from "../agent/wardStore";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let nowMs = Date.now();

function subscribe(listener: () => void): () => void {
    listeners.add(listener);
    timer ??= setInterval(() => {
        nowMs = Date.now();
        for (const l of listeners) l();
    }, 1000);
    return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearInterval(timer);
        timer = undefined;
    };
}

/** This machine's time in ms, moving once a second. */
export function useNow(): number {
    return useSyncExternalStore(subscribe, () => nowMs);
}

/** The agent's time in ms: what ages of values are counted against. */
export function useAgentNow(): number {
    const aheadMs = useWard((ward) => ward.clockAheadMs);
    return useNow() + aheadMs;
}
