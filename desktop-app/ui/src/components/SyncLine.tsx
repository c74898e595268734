import { useMutation } from "@tanstack/react-query";
import { syncNow } from "../agent/client";
import { failureOf } from "../agent/failure";
import type { SyncView } from "../agent/types";
import { takeSync } from "../agent/wardStore";
import { syncWords } from "../format/sync";
import { t } from "../locales";
import { Button } from "./Button";
import { Shape, type ShapeName } from "./Shape";

const SHAPES: Record<SyncView["state"], ShapeName> = {
    online: "circle",
    offline: "ring",
    unenrolled: "dots",
    revoked: "cross",
};

/** What has not yet left this box, in neutral colours: offline is not an error. */
export function SyncLine({ sync, live, nowMs }: { sync: SyncView; live: boolean; nowMs: number }) {
    const run = useMutation({ mutationFn: syncNow, onSuccess: takeSync });
    const canSync = live && (sync.state === "online" || sync.state === "offline");
    return (
        <section aria-label={t.sync.region} className="flex min-h-11 items-center gap-3 px-3 text-quiet text-sm">
            <Shape name={live ? SHAPES[sync.state] : "dots"} />
            <p
                data-testid="sync-line"
                data-state={live ? sync.state : "unknown"}
                role="status"
                className="min-w-0 truncate"
            >
                {live ? syncWords(sync, nowMs) : t.sync.unknown}
                {run.isError && ` · ${t.sync.failed(t.failure(failureOf(run.error)))}`}
            </p>
            {canSync && (
                <Button
                    isDisabled={run.isPending}
                    onPress={() => run.mutate()}
                    testId="sync-now"
                    className="ml-auto text-sm"
                >
                    {run.isPending ? t.sync.running : t.sync.now}
                </Button>
            )}
        </section>
    );
}
