import { expect, test } from "@playwright/test";
import { expectAccessible, openMock } from "../page";

test("every site shows its state in symbol and word, its queue and its digest", async ({ page }) => {
    await openMock(page, "hub");
    const riverside = page.getByTestId("site-riverside");
    await expect(riverside).toContainText("offline");
    await expect(riverside.getByTestId("queue")).toContainText("17oldest 2 h");
    await expect(page.getByTestId("site-lakeside").getByTestId("digest")).toContainText("differs");
    await expect(page.getByTestId("site-hillside").getByTestId("digest")).toContainText("9f2c41d0");
    const shapes = await page
        .locator('tr[data-testid^="site-"] td:first-child svg')
        .evaluateAll((all) => all.map((svg) => svg.getAttribute("data-shape")));
    expect(shapes).toEqual(["circle", "half", "ring"]);
    await expect(page.getByText("Digests differ")).toBeVisible();
});

test("the page says as of when, and moves on alone", async ({ page }) => {
    await openMock(page, "hub");
    const asOf = page.getByTestId("as-of");
    const first = await asOf.textContent();
    await expect.poll(() => asOf.textContent()).not.toBe(first);
});

test("a hub that does not answer is said so, and its numbers stay dated", async ({ page }) => {
    await openMock(page, "hub");
    await expect(page.getByTestId("site-hillside")).toBeVisible();
    await page.evaluate(() => window.lamplightMock?.cut());
    await expect(page.getByRole("alert")).toContainText("No contact with the hub since");
    await expect(page.getByTestId("site-hillside")).toBeVisible();
});

test("a new site gets a code that is shown once", async ({ page }) => {
    await openMock(page, "hub-empty");
    await expect(page.getByText("No site yet")).toBeVisible();
    await expectAccessible(page);
    await page.getByTestId("add-site").click();
    await page.getByTestId("add-site-name").fill("Sea Side");
    await expect(page.getByTestId("add-site-go")).toBeDisabled();
    await page.getByTestId("add-site-name").fill("seaside");
    await expectAccessible(page);
    await page.getByTestId("add-site-go").click();
    await expect(page.getByTestId("site-code")).toHaveText("LAMP-7Q4K-M2XN-PINS-93TD");
    await page.getByRole("button", { name: "Done" }).click();
    await expect(page.getByTestId("site-seaside")).toContainText("never seen");
    await page.getByTestId("add-site").click();
    await expect(page.getByTestId("site-code")).toBeHidden();
});

test("a site is revoked only after its name is typed and a reason given", async ({ page }) => {
    await openMock(page, "hub");
    await page.getByRole("button", { name: "Revoke riverside" }).click();
    await page.getByTestId("revoke-confirm").fill("riversid");
    await page.getByTestId("revoke-reason").fill("stolen");
    await expect(page.getByTestId("revoke-go")).toBeDisabled();
    await page.getByTestId("revoke-confirm").fill("riverside");
    await page.getByTestId("revoke-go").click();
    await expect(page.getByTestId("site-riverside")).toHaveAttribute("data-state", "revoked");
});

test("axe finds nothing serious", async ({ page }) => {
    await openMock(page, "hub");
    await expect(page.getByTestId("site-hillside")).toBeVisible();
    await expectAccessible(page);
});
