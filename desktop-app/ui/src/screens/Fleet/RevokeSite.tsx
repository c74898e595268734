import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { revokeSite } from "../../agent/client";
import { failureOf } from "../../agent/failure";
import { Button } from "../../components/Button";
import { Modal } from "../../components/Modal";
import { TextField } from "../../components/TextField";
import { t } from "../../locales";

/** Ends a site's membership once its name is typed and a reason given. */
export function RevokeSite({ site, onClose }: { site: string | undefined; onClose(): void }) {
    const [confirm, setConfirm] = useState("");
    const [reason, setReason] = useState("");
    const queries = useQueryClient();
    const close = () => {
        setConfirm("");
        setReason("");
        revoke.reset();
        onClose();
    };
    const revoke = useMutation({
        mutationFn: (name: string) => revokeSite(name, confirm, reason.trim()),
        onSuccess: () => {
            void queries.invalidateQueries({ queryKey: ["fleet"] });
            close();
        },
    });
    const submit = (event: FormEvent) => {
        event.preventDefault();
        if (site && !revoke.isPending) revoke.mutate(site);
    };
    return (
        <Modal title={t.fleet.revokeTitle(site ?? "")} isOpen={site !== undefined} onClose={close}>
            <form onSubmit={submit} className="flex flex-col gap-4">
                <p>{t.fleet.revokeHelp}</p>
                <TextField
                    label={t.fleet.revokeConfirm(site ?? "")}
                    value={confirm}
                    onChange={setConfirm}
                    autoFocus
                    testId="revoke-confirm"
                />
                <TextField
                    label={t.fleet.revokeReason}
                    value={reason}
                    onChange={setReason}
                    maxLength={512}
                    testId="revoke-reason"
                />
                {revoke.isError && <p role="alert">{t.failure(failureOf(revoke.error))}</p>}
                <div className="flex justify-end gap-3">
                    <Button onPress={close}>{t.cancel}</Button>
                    <Button
                        type="submit"
                        look="danger"
                        isDisabled={confirm !== site || reason.trim() === "" || revoke.isPending}
                        testId="revoke-go"
                    >
                        {t.fleet.revokeGo}
                    </Button>
                </div>
            </form>
        </Modal>
    );
}
