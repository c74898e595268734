import { expect, test } from "@playwright/test";
import { expectAccessible, expectNoScroll } from "../page";

test.beforeEach(async ({ page }) => {
    await page.goto("/?scenario=clinic");
    await expect(page.getByTestId("sign-in-user")).toBeVisible();
});

test("a PIN typed on our own pad signs in", async ({ page }) => {
    await page.getByTestId("sign-in-user").fill("amina");
    for (const digit of ["2", "4", "6", "9"]) await page.getByTestId(`key-${digit}`).click();
    await page.getByTestId("key-erase").click();
    await page.getByTestId("key-8").click();
    await page.getByTestId("sign-in-submit").click();
    await expect(page.getByTestId("bed-1")).toBeVisible();
});

test("the keyboard alone signs in", async ({ page }) => {
    await expect(page.getByTestId("sign-in-user")).toBeFocused();
    await page.keyboard.type("amina");
    await page.keyboard.press("Tab");
    await page.keyboard.type("2468");
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("bed-1")).toBeVisible();
});

test("a missing PIN is asked for before anything is sent", async ({ page }) => {
    await page.getByTestId("sign-in-user").fill("amina");
    await page.getByTestId("sign-in-submit").click();
    await expect(page.getByTestId("sign-in-problem")).toContainText("Enter your name and your PIN");
    await expect(page.getByTestId("sign-in-secret")).toBeFocused();
});

test("wrong tries are said so, then lock with a countdown", async ({ page }) => {
    await page.getByTestId("sign-in-user").fill("amina");
    for (let i = 0; i < 3; i++) {
        await page.getByTestId("sign-in-secret").fill("0000");
        await page.getByTestId("sign-in-submit").click();
        await expect(page.getByTestId("sign-in-problem")).toContainText("wrong");
        await expect(page.getByTestId("sign-in-secret")).toHaveValue("");
    }
    await page.getByTestId("sign-in-secret").fill("2468");
    await page.getByTestId("sign-in-submit").click();
    await expect(page.getByTestId("sign-in-problem")).toContainText(/Locked for another 0:\d\d/);
    await expect(page.getByTestId("sign-in-submit")).toBeDisabled();
});

test("pad keys are 20 mm and nothing scrolls", async ({ page }) => {
    for (const key of ["0", "5", "clear", "erase"]) {
        const box = await page.getByTestId(`key-${key}`).boundingBox();
        expect(box?.width).toBeGreaterThanOrEqual(72);
        expect(box?.height).toBeGreaterThanOrEqual(72);
    }
    await expectNoScroll(page);
});

test("axe finds nothing serious", async ({ page }) => expectAccessible(page));
