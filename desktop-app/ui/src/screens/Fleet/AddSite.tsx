import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { addSite } from "../../agent/client";
import { failureOf } from "../../agent/failure";
import type { SiteCode } from "../../agent/types";
import { Button } from "../../components/Button";
import { Modal } from "../../components/Modal";
import { TextField } from "../../components/TextField";
import { moment } from "../../format/time";
import { t } from "../../locales";

/** Names a site and shows its one-time code. The code lives in this dialog and goes with it. */
export function AddSite({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) {
    const [name, setName] = useState("");
    const queries = useQueryClient();
    const add = useMutation({
        mutationFn: addSite,
        onSuccess: () => queries.invalidateQueries({ queryKey: ["fleet"] }),
        gcTime: 0,
    });
    const close = () => {
        setName("");
        add.reset();
        onClose();
    };
    const submit = (event: FormEvent) => {
        event.preventDefault();
        if (!add.isPending) add.mutate(name.trim());
    };
    return (
        <Modal title={add.data ? t.fleet.codeTitle(add.data.site) : t.fleet.addTitle} isOpen={isOpen} onClose={close}>
            {add.data ? (
                <Code code={add.data} onDone={close} />
            ) : (
                <form onSubmit={submit} className="flex flex-col gap-4">
                    <TextField
                        label={t.fleet.name}
                        help={t.fleet.nameHelp}
                        value={name}
                        onChange={setName}
                        maxLength={64}
                        autoFocus
                        testId="add-site-name"
                    />
                    {add.isError && <p role="alert">{t.failure(failureOf(add.error))}</p>}
                    <div className="flex justify-end gap-3">
                        <Button onPress={close}>{t.cancel}</Button>
                        <Button
                            type="submit"
                            look="primary"
                            isDisabled={!/^[a-z0-9-]{1,64}$/.test(name.trim()) || add.isPending}
                            testId="add-site-go"
                        >
                            {t.fleet.addGo}
                        </Button>
                    </div>
                </form>
            )}
        </Modal>
    );
}

function Code({ code, onDone }: { code: SiteCode; onDone(): void }) {
    const [copied, setCopied] = useState(false);
    const copy = () =>
        navigator.clipboard?.writeText(code.code).then(
            () => setCopied(true),
            () => setCopied(false),
        );
    return (
        <>
            <p>{t.fleet.codeHelp}</p>
            <code
                data-testid="site-code"
                className="select-all break-all rounded-lg border border-line bg-ground p-4 text-lg"
            >
                {code.code}
            </code>
            <p className="text-quiet">{t.fleet.codeUntil(moment(code.expires_ms, Date.now()))}</p>
            <div className="flex justify-end gap-3">
                <Button onPress={copy}>{copied ? t.fleet.copied : t.fleet.copy}</Button>
                <Button look="primary" onPress={onDone}>
                    {t.fleet.done}
                </Button>
            </div>
        </>
    );
}
