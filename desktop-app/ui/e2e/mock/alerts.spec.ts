import { expect, type Locator, type Page, test } from "@playwright/test";
import { openMock } from "../page";

const inBar = (page: Page) => page.getByTestId("alert-bar").locator("article");
const motion = (block: Locator) => block.evaluate((e) => getComputedStyle(e).animationDuration);

test("the bar names bed, patient, parameter and value, gravest first", async ({ page }) => {
    await openMock(page, "ward");
    await expect(inBar(page)).toHaveCount(3);
    await expect(inBar(page).first()).toContainText("Bed 14 · Juma, Hassan");
    await expect(inBar(page).first()).toContainText("RR 24 /min");
    await expect(inBar(page).first()).toContainText("+1 more for this bed");
});

test("each priority differs in marks, shape and motion, whatever the colours", async ({ page }) => {
    await openMock(page, "ward");
    await page.getByTestId("alerts-all").click();
    const seen: Record<string, unknown> = {};
    for (const severity of ["high", "medium", "low"]) {
        const block = page.locator(`article[data-severity="${severity}"][data-state="created"]`).first();
        const marks = ((await block.textContent()) ?? "").match(/\*+/)?.[0];
        seen[severity] = [marks, await block.locator("svg").getAttribute("data-shape"), await motion(block)];
    }
    expect(seen).toEqual({
        high: ["***", "hexagon", "0.5s"],
        medium: ["**", "triangle", "1.667s"],
        low: ["*", "circle", "0s"],
    });
});

test("acknowledging takes one press; it then stands still with a tick, a name and a time", async ({ page }) => {
    await openMock(page, "clinic");
    const alert = page.getByTestId("alert-a3");
    expect(await motion(alert)).toBe("0.5s");
    await alert.getByTestId("alert-ack").click();
    await expect(alert).toHaveAttribute("data-state", "acknowledged");
    await expect(alert.getByTestId("alert-taken")).toHaveText(/^✓ Amina K\. \d\d:\d\d$/);
    expect(await motion(alert)).toBe("0s");
    await expect(alert).toHaveAttribute("data-severity", "high");
});

test("the keyboard alone acknowledges, as the first thing it meets", async ({ page }) => {
    await openMock(page, "clinic");
    await expect(page.getByTestId("alert-a3")).toBeVisible();
    await page.keyboard.press("Tab");
    await expect(page.getByTestId("alert-a3").getByTestId("alert-ack")).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("alert-a3")).toHaveAttribute("data-state", "acknowledged");
});

test("nothing shows as acknowledged when the agent did not answer", async ({ page }) => {
    await openMock(page, "clinic");
    await expect(page.getByTestId("alert-a3")).toBeVisible();
    await page.evaluate(() => window.lamplightMock?.cut());
    await page.getByTestId("alert-a3").getByTestId("alert-ack").click();
    await expect(page.getByTestId("alert-a3")).toContainText("Not acknowledged");
    await expect(page.getByTestId("alert-a3")).toHaveAttribute("data-state", "created");
});

test("a double tap takes one alert, not the next that moves under the finger", async ({ page }) => {
    await openMock(page, "ward");
    const box = await page.getByTestId("alert-a2").getByTestId("alert-ack").boundingBox();
    const [x, y] = [(box?.x ?? 0) + 20, (box?.y ?? 0) + 20];
    await page.mouse.click(x, y);
    await expect(page.locator('[data-testid="alert-a2"][data-state="created"]')).toBeHidden();
    const next = inBar(page).first();
    await expect(next).toHaveAttribute("data-testid", "alert-a3");
    await page.mouse.click(x, y);
    await page.waitForTimeout(700);
    await expect(next).toHaveAttribute("data-testid", "alert-a3");
    await expect(next).toHaveAttribute("data-state", "created");
});

test("a new high alert is in the bar within a second, also while a bed is open", async ({ page }) => {
    await openMock(page, "clinic");
    await page.getByTestId("bed-1").click();
    await expect(page.getByTestId("bed-panel")).toBeVisible();
    await page.evaluate(() =>
        window.lamplightMock?.alert({ id: "new", bed: "3", severity: "high", text: "*** SpO₂ 79 %" }),
    );
    await expect(page.getByTestId("alert-new")).toBeInViewport({ timeout: 1000 });
    const uncovered = await page.getByTestId("alert-new").evaluate((block) => {
        const { left, top, width, height } = block.getBoundingClientRect();
        return block.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    });
    expect(uncovered).toBe(true);
});

test("the bar keeps its height, so tiles stay under the finger", async ({ page }) => {
    await openMock(page, "clinic");
    await expect(page.getByTestId("alert-a3")).toBeVisible();
    const full = await page.getByTestId("alert-bar").boundingBox();
    await openEmpty(page);
    const empty = await page.getByTestId("alert-bar").boundingBox();
    expect(empty?.height).toBe(full?.height);
});

async function openEmpty(page: Page) {
    await page.goto("/?scenario=unenrolled");
    await expect(page.getByText("No open alerts")).toBeVisible();
}

test("every control on the ward is at least 44 px", async ({ page }) => {
    await openMock(page, "ward");
    const small = await page.locator('button, [role="radio"], label:has(input[type="radio"])').evaluateAll((all) =>
        all
            .filter((e) => !e.closest('li[data-testid^="bed-"]'))
            .map((e) => ({ text: e.textContent, box: e.getBoundingClientRect() }))
            .filter(({ box }) => box.width < 44 || box.height < 44)
            .map(({ text, box }) => `${text} ${box.width}×${box.height}`),
    );
    expect(small).toEqual([]);
});
