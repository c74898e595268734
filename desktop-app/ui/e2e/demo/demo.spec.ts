import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectNoScroll, pixels, signIn, watchOrigins } from "../page";

interface Demo {
    urls: { hub: string; agents: string[] };
    sign_in: { user: string; pin: string };
}

const given = process.env.LAMPLIGHT_DEMO;
const demo: Demo = given ? JSON.parse(given) : { urls: { hub: "", agents: [] }, sign_in: { user: "", pin: "" } };

test.skip(!given, "LAMPLIGHT_DEMO is unset: start `cargo xtask demo` and pass its JSON");
test.describe.configure({ timeout: 120_000 });

/** Simulated monitors need a moment to be found, and a score its first full set. */
const FIRST_DATA_MS = 60_000;

async function enter(page: Page, url: string) {
    await page.goto(url);
    await expect(page.getByTestId("sign-in-user")).toBeVisible({ timeout: 30_000 });
    await expectAccessible(page);
    await signIn(page, demo.sign_in.user, demo.sign_in.pin);
}

for (const [i, url] of demo.urls.agents.entries()) {
    test(`agent ${i + 1}: live values, waves and alerts reach the screen, and nothing leaves its origin`, async ({
        page,
    }) => {
        const foreign = watchOrigins(page);
        await enter(page, url);

        await test.step("oxygen saturation changes", async () => {
            const spo2 = page.locator('[data-testid^="numeric-"][data-testid$="-spo2"]');
            await expect(spo2.filter({ hasText: /^\d+(\.\d+)?$/ }).first()).toBeVisible({ timeout: FIRST_DATA_MS });
            const first = (await spo2.allTextContents()).join();
            await expect
                .poll(async () => (await spo2.allTextContents()).join(), { timeout: FIRST_DATA_MS })
                .not.toBe(first);
        });

        await test.step("a wave is painted", async () => {
            const strip = page.locator('[data-testid^="wave-"]').first();
            await expect(strip).toBeVisible({ timeout: FIRST_DATA_MS });
            const id = (await strip.getAttribute("data-testid")) ?? "";
            await expect.poll(async () => (await pixels(page, id)).drawn, { timeout: 20_000 }).toBeGreaterThan(100);
            const before = await pixels(page, id);
            await expect.poll(async () => (await pixels(page, id)).sum).not.toBe(before.sum);
        });

        await test.step("an alert is acknowledged in one press", async () => {
            const open = page.locator('article[data-state="created"]').first();
            await expect(open).toBeVisible({ timeout: FIRST_DATA_MS });
            const id = (await open.getAttribute("data-testid")) ?? "";
            // By its name: a graver alert may have come to the first place meanwhile.
            await page.locator(`[data-testid="${id}"][data-state="created"]`).first().getByTestId("alert-ack").click();
            await expect(page.locator(`[data-testid="${id}"][data-state="created"]`)).toBeHidden();
            // Acknowledged alerts go behind those nobody has taken, perhaps out of the bar and into the list.
            const list = page.getByTestId("alerts-all");
            if (await list.isVisible()) await list.click();
            await expect(page.getByTestId(id).getByTestId("alert-taken")).toContainText("✓");
            if (await list.isVisible()) await list.click();
        });

        await test.step("the sync line tells where the record stands", async () => {
            await expect(page.getByTestId("sync-line")).toHaveText(/^(Hub reached|Offline since)/, { timeout: 30_000 });
        });

        await test.step("the board fits and axe finds nothing serious, with a bed open too", async () => {
            await expectNoScroll(page);
            await expectAccessible(page);
            await page.locator('li[data-testid^="bed-"]').first().click();
            await expect(page.getByTestId("bed-panel")).toBeVisible();
            await expectAccessible(page);
        });

        expect(foreign()).toEqual([]);
    });
}

test("the hub shows every site as enrolled and in contact", async ({ page }) => {
    const foreign = watchOrigins(page);
    await enter(page, demo.urls.hub);
    const sites = page.locator('tr[data-testid^="site-"]');
    await expect(sites).toHaveCount(demo.urls.agents.length, { timeout: FIRST_DATA_MS });
    for (const site of await sites.all()) {
        await expect(site).toHaveAttribute("data-state", "ok", { timeout: FIRST_DATA_MS });
        await expect(site.getByTestId("digest")).toContainText("equal", { timeout: FIRST_DATA_MS });
    }
    await expectAccessible(page);
    expect(foreign()).toEqual([]);
});
