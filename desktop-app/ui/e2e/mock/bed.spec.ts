import { expect, test } from "@playwright/test";
import { expectAccessible, openMock } from "../page";

test.beforeEach(async ({ page }) => {
    await openMock(page, "clinic");
    await page.getByTestId("bed-2").click();
    await expect(page.getByTestId("bed-panel")).toBeVisible();
});

test("the panel names the patient by two identifiers and shows each parameter's points", async ({ page }) => {
    const panel = page.getByTestId("bed-panel");
    await expect(panel.getByRole("heading", { name: "Bed 2 · Okafor, Samuel" })).toBeVisible();
    await expect(panel).toContainText("MRN 81237 · 71 y M · TEST");
    await expect(panel.getByRole("row", { name: /SpO₂ 88 % .* 3/ })).toBeVisible();
    await expect(panel).toContainText("Emergency assessment");
});

test("a set is saved for the patient shown, in the codes' own units", async ({ page }) => {
    await page.getByTestId("acvpu-C").click();
    await page.getByTestId("breathing-oxygen").click();
    for (const key of ["2", ".", "5"]) await page.getByTestId(`key-${key}`).click();
    await page.getByTestId("record-temperature").click();
    for (const key of ["3", "8", ".", "4"]) await page.getByTestId(`key-${key}`).click();
    await page.getByTestId("record-save").click();
    await expect(page.getByTestId("record-told")).toHaveText(/^Saved \d\d:\d\d:\d\d$/);
    expect(await page.evaluate(() => window.lamplightMock?.observed)).toEqual([
        {
            patient: "patient-2",
            values: [
                { code: "temperature", value: 38.4, unit: "Cel" },
                { code: "inspired-oxygen", value: 2.5, unit: "L/min" },
                { code: "consciousness", value: 1, unit: "{score}" },
            ],
        },
    ]);
    await expect(page.getByTestId("record-temperature")).toHaveValue("");
});

test("a double tap saves once", async ({ page }) => {
    await page.getByTestId("acvpu-A").click();
    await page.getByTestId("record-save").dblclick();
    await expect(page.getByTestId("record-told")).toContainText("Saved");
    expect(await page.evaluate(() => window.lamplightMock?.observed.length)).toBe(1);
});

test("a value out of the usual is asked about once", async ({ page }) => {
    await page.getByTestId("record-temperature").fill("45");
    await page.getByTestId("record-save").click();
    await expect(page.getByTestId("record-told")).toContainText("Temperature 45 °C is unusual");
    expect(await page.evaluate(() => window.lamplightMock?.observed.length)).toBe(0);
    await page.waitForTimeout(600);
    await page.getByTestId("record-save").click();
    await expect(page.getByTestId("record-told")).toContainText("Saved");
});

test("the keyboard alone opens a bed, records and closes, and focus returns to the tile", async ({ page }) => {
    await page.keyboard.press("Escape");
    await expect(page.getByTestId("bed-panel")).toBeHidden();
    const opener = page.getByRole("button", { name: "Open bed 3, Wanjiru, Mary" });
    await opener.focus();
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("bed-panel")).toBeFocused();
    await page.getByTestId("record-spo2").focus();
    await page.keyboard.type("97");
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("record-told")).toContainText("Saved");
    await page.keyboard.press("Escape");
    await expect(opener).toBeFocused();
});

test("what was typed stays with its patient while another bed is open", async ({ page }) => {
    await page.getByTestId("record-temperature").fill("38.1");
    await page.getByTestId("bed-close").click();
    await page.getByTestId("bed-1").click();
    await expect(page.getByTestId("record-temperature")).toHaveValue("");
    await page.getByTestId("bed-close").click();
    await page.getByTestId("bed-2").click();
    await expect(page.getByTestId("record-temperature")).toHaveValue("38.1");
});

test("axe finds nothing serious", async ({ page }) => expectAccessible(page));
