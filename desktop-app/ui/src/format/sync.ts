import type { SyncView } from "../agent/types";
import { t } from "../locales";
import { count } from "./number";
import { duration, moment } from "./time";

/** The offline/sync line: "Offline since 09:42 · 17 changes waiting, oldest 2 h · last sync yesterday 18:05". */
export function syncWords(sync: SyncView, nowMs: number): string {
    const lastSync = sync.last_sync_ms == null ? t.sync.never : t.sync.last(moment(sync.last_sync_ms, nowMs));
    switch (sync.state) {
        case "unenrolled":
            return t.sync.unenrolled;
        case "revoked":
            return t.sync.revoked(moment(sync.since_ms, nowMs));
        case "offline":
            return join(t.sync.offline(moment(sync.since_ms, nowMs)), waiting(sync, nowMs), lastSync);
        case "online":
            return join(t.sync.online, sync.waiting > 0 ? waiting(sync, nowMs) : proven(sync, nowMs), differs(sync));
    }
}

const join = (...parts: string[]) => parts.filter(Boolean).join(" · ");

function waiting(sync: SyncView, nowMs: number): string {
    const words = t.sync.waiting(sync.waiting);
    if (sync.oldest_waiting_ms == null || sync.waiting === 0) return words;
    return `${words}, ${t.sync.oldest(duration(nowMs - sync.oldest_waiting_ms))}`;
}

function proven(sync: SyncView, nowMs: number): string {
    if (sync.digest_equal === false) return "";
    if (sync.digest_equal == null || sync.last_sync_ms == null) return t.sync.notYetProven;
    return t.sync.equal(count(sync.entries_written), moment(sync.last_sync_ms, nowMs));
}

const differs = (sync: SyncView) => (sync.digest_equal === false ? t.sync.differs : "");
