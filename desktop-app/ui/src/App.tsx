import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { health, onSignedOut, signOut } from "./agent/client";
import { session } from "./agent/session";
import type { Session } from "./agent/types";
import { useTheme } from "./components/theme";
import { t } from "./locales";
import { Fleet } from "./screens/Fleet/Fleet";
import { SignIn } from "./screens/SignIn/SignIn";
import { Ward } from "./screens/Ward/Ward";

/** Finds out who serves the page, asks for a sign-in, and shows the ward of an agent or the fleet of a hub. */
export function App() {
    const server = useQuery({
        queryKey: ["health"],
        queryFn: health,
        retry: true,
        retryDelay: 2000,
        staleTime: Infinity,
    });
    const queries = useQueryClient();
    const showHubTheme = useTheme((s) => s.hub);
    const [who, setWho] = useState<Session | undefined>(() => session.read());
    const [ended, setEnded] = useState(false);
    const isHub = server.data?.program === "sync-hub";

    useEffect(
        () =>
            onSignedOut(() => {
                setWho(undefined);
                setEnded(true);
            }),
        [],
    );
    useEffect(() => {
        if (isHub) showHubTheme();
    }, [isHub, showHubTheme]);

    if (!server.data) {
        return (
            <main className="grid h-full place-items-center p-8">
                <p role="status" className="text-lg text-quiet">
                    {server.failureCount > 0 ? t.unreachable : t.starting}
                </p>
            </main>
        );
    }
    if (!who) {
        return <SignIn server={server.data} ended={ended} onSignedIn={setWho} />;
    }
    const leave = () => {
        void signOut();
        queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "health" });
        setEnded(false);
        setWho(undefined);
    };
    return isHub ? <Fleet hub={server.data} who={who} onSignOut={leave} /> : <Ward who={who} onSignOut={leave} />;
}
