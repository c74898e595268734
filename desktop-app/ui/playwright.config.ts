import { defineConfig } from "@playwright/test";

// Two runs at once must not meet on one port. Workers read this file again and inherit the choice.
process.env.LAMPLIGHT_UI_PORT ??= String(42_000 + Math.floor(Math.random() * 16_000));
const mockUrl = `http://127.0.0.1:${process.env.LAMPLIGHT_UI_PORT}`;

/** `mock` drives the page with the agent in its own process; `demo` drives a running `cargo xtask demo`. */
export default defineConfig({
    testDir: "e2e",
    outputDir: "test-results",
    timeout: 60_000,
    expect: { timeout: 10_000 },
    workers: 1,
    forbidOnly: true,
    reporter: [["list"]],
    use: {
        viewport: { width: 1920, height: 1080 },
        ignoreHTTPSErrors: true,
        screenshot: "only-on-failure",
        launchOptions: {
            executablePath: process.env.LAMPLIGHT_CHROMIUM ?? "/usr/bin/chromium",
            args: ["--no-sandbox"],
        },
    },
    projects: [
        { name: "mock", testMatch: "mock/*.spec.ts", use: { baseURL: mockUrl } },
        { name: "demo", testMatch: "demo/*.spec.ts" },
    ],
    webServer: {
        command: `npx vite build --mode mock && npx vite preview --outDir dist-mock --host 127.0.0.1 --port ${process.env.LAMPLIGHT_UI_PORT} --strictPort`,
        url: mockUrl,
        timeout: 120_000,
    },
});
