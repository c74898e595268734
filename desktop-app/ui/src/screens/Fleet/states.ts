import type { DigestState, SiteState } from "../../agent/types";
import type { ShapeName } from "../../components/Shape";

interface Look {
    shape: ShapeName;
    colour: string;
}

/** Symbol and colour of each state; the word comes from the locale. */
export const STATE_LOOKS: Record<SiteState, Look> = {
    ok: { shape: "circle", colour: "#197a50" },
    late: { shape: "half", colour: "#8a5c00" },
    offline: { shape: "ring", colour: "#596171" },
    "never-seen": { shape: "dots", colour: "#596171" },
    revoked: { shape: "cross", colour: "#c81b28" },
};

export const DIGEST_LOOKS: Record<DigestState, Look> = {
    equal: { shape: "circle", colour: "#197a50" },
    differs: { shape: "cross", colour: "#c81b28" },
    unknown: { shape: "dots", colour: "#596171" },
};
