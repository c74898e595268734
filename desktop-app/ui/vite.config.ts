import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { ProxyOptions } from "vite";
import { defineConfig } from "vitest/config";

const POLICY =
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

// `--mode mock` builds a second page, beside the real one, that talks to a mock agent in its own process.
export default defineConfig(({ mode }) => ({
    plugins: [react(), tailwindcss()],
    build: {
        outDir: mode === "mock" ? "dist-mock" : "dist",
        // Every byte of the page comes from the appliance; an inlined asset would need a wider content policy.
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
    },
    // The policy the agent and the hub send, so that the page is always tested under it.
    preview: { headers: { "Content-Security-Policy": POLICY } },
    server: { proxy: agentProxy() },
    test: { include: ["src/**/*.test.ts"], environment: "node" },
}));

/** `LAMPLIGHT_AGENT=<url> npm run dev` puts the page under development in front of a running agent or hub. */
function agentProxy(): Record<string, ProxyOptions> {
    const target = process.env.LAMPLIGHT_AGENT;
    if (!target) return {};
    return {
        "/api": { target, ws: true, changeOrigin: true, secure: false },
        "/healthz": { target, changeOrigin: true, secure: false },
    };
}
