import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";

/** Signs in with the keyboard, as anyone would. */
export async function signIn(page: Page, user: string, pin: string): Promise<void> {
    await page.getByTestId("sign-in-user").fill(user);
    await page.getByTestId("sign-in-secret").fill(pin);
    await page.getByTestId("sign-in-submit").click();
    await expect(page.getByTestId("sign-out")).toBeVisible();
}

/** Opens the mock in a scenario and signs in. */
export async function openMock(page: Page, scenario: string): Promise<void> {
    await page.goto(`/?scenario=${scenario}`);
    await signIn(page, "amina", "2468");
}

/** axe finds nothing serious or critical. */
export async function expectAccessible(page: Page): Promise<void> {
    const { violations } = await new AxeBuilder({ page }).analyze();
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const told = grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
    expect(told).toEqual([]);
}

/** Nothing on the page asks to be scrolled. */
export async function expectNoScroll(page: Page): Promise<void> {
    const over = await page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll("main")]
            .filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)
            .map((e) => `${e.tagName} ${e.scrollWidth}×${e.scrollHeight} in ${e.clientWidth}×${e.clientHeight}`),
    );
    expect(over).toEqual([]);
}

/** Collects every request and socket that leaves the page's origin. */
export function watchOrigins(page: Page): () => string[] {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("websocket", (socket) => asked.push(socket.url()));
    return () => asked.filter((url) => /^(https?|wss?):/.test(url) && new URL(url).host !== new URL(page.url()).host);
}

/** Collects what the browser complains about: script errors and breaches of the content policy. */
export function watchComplaints(page: Page): () => string[] {
    const heard: string[] = [];
    page.on("pageerror", (error) => heard.push(error.message));
    page.on("console", (message) => message.type() === "error" && heard.push(message.text()));
    return () => heard;
}

/** How many pixels of a strip are drawn, and a sum that changes when any of them does. */
export async function pixels(page: Page, testId: string): Promise<{ drawn: number; sum: number }> {
    return page.getByTestId(testId).evaluate((element) => {
        const canvas = element as HTMLCanvasElement;
        const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
        let drawn = 0;
        let sum = 0;
        for (let i = 3; i < data.length; i += 4) {
            if (!data[i]) continue;
            drawn += 1;
            sum = (sum + i * (data[i] ?? 0)) % 1_000_000_007;
        }
        return { drawn, sum };
    });
}
