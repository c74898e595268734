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
export function SyncLine({ sync, nowMs }: { sync: SyncView; nowMs: number }) {
    const run = useMutation({ mutationFn: syncNow, onSuccess: takeSync });
    return (
        <section aria-label={t.sync.region} className="flex min-h-11 items-center gap-3 px-3 text-quiet text-sm">
            <Shape name={SHAPES[sync.state]} />
            <p data-testid="sync-line" data-state={sync.state} role="status" className="min-w-0 truncate">
                {syncWords(sync, nowMs)}
                {run.isError && ` · ${t.sync.failed(t.failure(failureOf(run.error)))}`}
            </p>
            {(sync.state === "online" || sync.state === "offline") && (
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
