import "./styles.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { startTheme } from "./components/theme";

// The page is served by the machine it talks to: whether the internet is there says nothing about the next request.
const queries = new QueryClient({
    defaultOptions: { queries: { networkMode: "always" }, mutations: { networkMode: "always" } },
});

async function start() {
    if (import.meta.env.MODE === "mock") (await import("./agent/mock")).install();
    startTheme();
    const root = document.getElementById("root");
    if (!root) return;
    createRoot(root).render(
        <StrictMode>
            <QueryClientProvider client={queries}>
                <App />
            </QueryClientProvider>
        </StrictMode>,
    );
}

void start();
