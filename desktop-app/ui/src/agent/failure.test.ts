import { expect, test } from "vitest";
import { failureFrom, failureOf, RequestFailed } from "./failure";

test("a lock-out says for how long, and never less than nothing", () => {
    expect(failureFrom(423, { retry_after_s: 30 })).toEqual({ kind: "locked", retryAfterS: 30 });
    expect(failureFrom(423, { retry_after_s: -1 })).toEqual({ kind: "locked", retryAfterS: 0 });
});
test("a refusal keeps the server's own words", () =>
    expect(failureFrom(409, { title: "Conflict", detail: "bed 4 holds another patient" })).toEqual({
        kind: "refused",
        status: 409,
        title: "Conflict",
        detail: "bed 4 holds another patient",
    }));
test("an answer that is no problem document still names its status", () => {
    for (const body of [undefined, null, "oops", 7, []])
        expect(failureFrom(502, body)).toMatchObject({ title: "HTTP 502" });
});
test("anything thrown that is not ours counts as unreachable", () => {
    expect(failureOf(new TypeError("failed to fetch"))).toEqual({ kind: "unreachable" });
    expect(failureOf(new RequestFailed({ kind: "signed-out" }))).toEqual({ kind: "signed-out" });
});
