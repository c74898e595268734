import type { Severity } from "../agent/types";
import type { ShapeName } from "./Shape";

/** The shape beside an alarm's colour and marks. */
export const SEVERITY_SHAPE: Record<Severity, ShapeName> = { high: "hexagon", medium: "triangle", low: "circle" };
