import { expect, test } from "@playwright/test";
import { expectAccessible, expectNoScroll, openMock, pixels, watchComplaints, watchOrigins } from "../page";

test("twenty beds fit 1920 × 1080 without a scroll bar, within the content policy, asking no other host", async ({
    page,
}) => {
    const foreign = watchOrigins(page);
    const complaints = watchComplaints(page);
    await openMock(page, "ward");
    await expect(page.locator('li[data-testid^="bed-"]')).toHaveCount(20);
    await expectNoScroll(page);
    expect(foreign()).toEqual([]);
    expect(complaints()).toEqual([]);
});

test("digits of neighbouring parameters never touch", async ({ page }) => {
    await openMock(page, "ward");
    for (let bed = 1; bed <= 18; bed++) {
        const boxes = await page
            .locator(`[data-testid^="numeric-${bed}-"]`)
            .evaluateAll((all) =>
                all.map((e) => e.getBoundingClientRect()).map(({ left, right }) => ({ left, right })),
            );
        for (const [i, box] of boxes.entries()) {
            const next = boxes[i + 1];
            if (next) expect(next.left, `bed ${bed}`).toBeGreaterThanOrEqual(box.right - 0.5);
        }
    }
});

test("values move and waves are painted", async ({ page }) => {
    await openMock(page, "ward");
    const heart = page.getByTestId("numeric-1-heart-rate");
    await expect(heart).toHaveText(/^\d+$/);
    const first = await heart.textContent();
    await expect.poll(() => heart.textContent()).not.toBe(first);
    await expect.poll(async () => (await pixels(page, "wave-1")).drawn).toBeGreaterThan(200);
    const before = await pixels(page, "wave-1");
    await expect.poll(async () => (await pixels(page, "wave-1")).sum).not.toBe(before.sum);
});

test("what is not known is said in words, and never a number", async ({ page }) => {
    await openMock(page, "ward");
    await expect(page.getByTestId("numeric-8-spo2")).toHaveText("--");
    await expect(page.getByTestId("bed-8")).toContainText("sensor off");
    await expect(page.getByTestId("numeric-10-heart-rate")).toHaveText("--");
    await expect(page.getByTestId("bed-10")).toContainText("Disconnected");
    await expect(page.getByTestId("bed-10")).toContainText("Check the serial cable");
    await expect(page.getByTestId("bed-12")).toContainText("31 s");
    await expect(page.getByTestId("bed-20")).toContainText("Empty");
});

test("a partial score says at least how much, and what is missing", async ({ page }) => {
    await openMock(page, "ward");
    await expect(page.getByTestId("news2-4")).toHaveText(/NEWS2 at least 2 · low/);
    await expect(page.getByTestId("bed-4")).toContainText("missing Air or oxygen, Consciousness");
});

test("score bands differ in word and shape, whatever the colours", async ({ page }) => {
    await openMock(page, "ward");
    const chips: Record<string, string> = {};
    for (const bed of ["1", "17", "9", "14"]) {
        const chip = page.getByTestId(`news2-${bed}`);
        const band = (await chip.getAttribute("data-band")) ?? "";
        await expect(chip).toContainText(`· ${band}`);
        chips[band] = (await chip.locator("svg").getAttribute("data-shape")) ?? "";
    }
    expect(chips).toEqual({ low: "circle", "low-medium": "square", medium: "triangle", high: "hexagon" });
});

test("by risk, the gravest open alert comes first", async ({ page }) => {
    await openMock(page, "ward");
    await page.getByText("By risk").click();
    await expect(page.locator('li[data-testid^="bed-"]').first()).toHaveAttribute("data-testid", "bed-14");
});

test("without contact no number looks live, and it comes back alone", async ({ page }) => {
    await openMock(page, "ward");
    await expect(page.getByTestId("numeric-1-heart-rate")).toHaveText(/^\d+$/);
    await page.evaluate(() => window.lamplightMock?.cut());
    await expect(page.getByTestId("lost")).toContainText("No contact with the appliance since");
    const shown = await page.locator('[data-testid^="numeric-"]').allTextContents();
    expect(shown.every((text) => /^\/?--$/.test(text))).toBe(true);
    await expect(page.getByTestId("news2-14")).toHaveText("NEWS2 --");
    await expect(page.getByTestId("sync-line")).not.toContainText("Hub reached");
    await page.evaluate(() => window.lamplightMock?.restore());
    await expect(page.getByTestId("lost")).toBeHidden({ timeout: 15_000 });
    await expect(page.getByTestId("numeric-1-heart-rate")).toHaveText(/^\d+$/);
});

test("offline is said calmly, with what waits and since when", async ({ page }) => {
    await openMock(page, "offline");
    await expect(page.getByTestId("sync-line")).toHaveText(
        /^Offline since 00:05 · 17 changes waiting, oldest 2 h · last sync yesterday 18:05$/,
    );
});

test("unenrolled is said calmly too", async ({ page }) => {
    await openMock(page, "unenrolled");
    await expect(page.getByTestId("sync-line")).toHaveText("No hub is set up. Everything is kept here.");
    await expect(page.getByTestId("sync-now")).toBeHidden();
});

test("a ward without beds says how to get some", async ({ page }) => {
    await openMock(page, "empty");
    await expect(page.getByText("No beds yet")).toBeVisible();
    await expectAccessible(page);
});

for (const theme of ["day", "night"] as const) {
    test(`axe finds nothing serious by ${theme}`, async ({ page }) => {
        await openMock(page, "ward");
        if (theme === "night") await page.getByTestId("theme-night").click();
        await expect(page.locator("html")).toHaveAttribute("data-theme", theme);
        await expectAccessible(page);
    });
}
