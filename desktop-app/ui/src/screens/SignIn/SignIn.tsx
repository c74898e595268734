import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { signIn } from "../../agent/client";
import { type Failure, failureOf } from "../../agent/failure";
import type { Health, Session } from "../../agent/types";
import { Button } from "../../components/Button";
import { NumberPad } from "../../components/NumberPad";
import { useNow } from "../../components/useNow";
import { countdown } from "../../format/time";
import { t } from "../../locales";

interface Props {
    server: Health;
    /** The server ended the last session. */
    ended: boolean;
    onSignedIn(session: Session): void;
}

type Trouble = { failure: Failure } | { missing: true } | undefined;

/** Name and PIN, by keyboard or by our own number pad. */
export function SignIn({ server, ended, onSignedIn }: Props) {
    const [user, setUser] = useState("");
    const [secret, setSecret] = useState("");
    const [waiting, setWaiting] = useState(false);
    const [trouble, setTrouble] = useState<Trouble>();
    const [lockedUntilMs, setLockedUntilMs] = useState(0);
    const secretField = useRef<HTMLInputElement>(null);
    const userField = useRef<HTMLInputElement>(null);
    const problemId = useId();
    const leftMs = lockedUntilMs - useNow();

    useEffect(() => userField.current?.focus(), []);

    const submit = async (event: FormEvent) => {
        event.preventDefault();
        if (waiting) return;
        if (!user.trim() || !secret) {
            setTrouble({ missing: true });
            (user.trim() ? secretField : userField).current?.focus();
            return;
        }
        setWaiting(true);
        setTrouble(undefined);
        try {
            onSignedIn(await signIn(user.trim(), secret));
        } catch (thrown) {
            const failure = failureOf(thrown);
            if (failure.kind === "locked") setLockedUntilMs(Date.now() + failure.retryAfterS * 1000);
            setTrouble({ failure });
            setSecret("");
            setWaiting(false);
            secretField.current?.focus();
        }
    };

    return (
        <main className="grid min-h-full place-items-center p-6">
            <form
                onSubmit={submit}
                aria-labelledby="sign-in-title"
                className="grid gap-x-12 gap-y-8 rounded-2xl border border-line bg-panel p-10 items-stretch md:grid-cols-[22rem_auto]"
            >
                <div className="flex flex-col gap-5">
                    <header className="flex items-center gap-4">
                        <img src="/lamplight.svg" alt="" className="size-14" />
                        <div>
                            <h1 id="sign-in-title" className="font-semibold text-2xl">
                                {t.product}
                            </h1>
                            <p className="text-quiet">{t.signIn.place(server.name)}</p>
                        </div>
                    </header>
                    <label className="flex flex-col gap-1.5">
                        <span>{t.signIn.user}</span>
                        <input
                            ref={userField}
                            data-testid="sign-in-user"
                            value={user}
                            onChange={(e) => setUser(e.target.value)}
                            autoComplete="username"
                            autoCapitalize="none"
                            spellCheck={false}
                            aria-describedby={problemId}
                            className="min-h-14 rounded-lg border border-line bg-ground px-4 text-xl"
                        />
                    </label>
                    <label className="flex flex-col gap-1.5">
                        <span>{t.signIn.secret}</span>
                        <input
                            ref={secretField}
                            data-testid="sign-in-secret"
                            type="password"
                            value={secret}
                            onChange={(e) => setSecret(e.target.value)}
                            autoComplete="current-password"
                            aria-describedby={problemId}
                            className="min-h-14 rounded-lg border border-line bg-ground px-4 text-xl tracking-widest"
                        />
                    </label>
                    <Button
                        type="submit"
                        look="primary"
                        testId="sign-in-submit"
                        isDisabled={waiting || leftMs > 0}
                        className="min-h-14 text-lg"
                    >
                        {waiting ? t.signIn.waiting : t.signIn.submit}
                    </Button>
                    <p id={problemId} role="alert" data-testid="sign-in-problem" className="min-h-12 text-base">
                        {words(trouble, leftMs) ?? (ended ? t.signIn.ended : "")}
                    </p>
                    <p className="mt-auto text-quiet text-sm">
                        {server.program === "sync-hub" ? t.signIn.hub : t.signIn.local}
                    </p>
                </div>
                <NumberPad value={secret} onChange={setSecret} />
            </form>
        </main>
    );
}

function words(trouble: Trouble, leftMs: number): string | undefined {
    if (!trouble) return undefined;
    if ("missing" in trouble) return t.signIn.needBoth;
    const { failure } = trouble;
    if (failure.kind === "locked") return leftMs > 0 ? t.signIn.locked(countdown(leftMs)) : t.tryAgain;
    if (failure.kind === "signed-out") return t.signIn.wrong;
    return failure.kind === "unreachable" ? t.unreachable : t.failure(failure);
}
