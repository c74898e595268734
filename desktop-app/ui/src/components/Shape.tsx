/** Shapes that stay apart without colour. ◆ is kept for model predictions and ✕ for faults. */
export type ShapeName = "circle" | "square" | "triangle" | "hexagon" | "half" | "ring" | "cross" | "dots";

const PATHS: Record<ShapeName, string> = {
    circle: "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12z",
    square: "M2.5 2.5h11v11h-11z",
    triangle: "M8 1.5L15 14H1z",
    hexagon: "M4.8 1.5h6.4L15 8l-3.8 6.5H4.8L1 8z",
    half: "M8 2a6 6 0 0 1 0 12a6 6 0 0 1 0-12zm0 1.6a4.4 4.4 0 0 0 0 8.8z",
    ring: "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12zm0 2a4 4 0 1 0 0 8a4 4 0 1 0 0-8z",
    cross: "M3.6 2L8 6.4L12.4 2L14 3.6L9.6 8l4.4 4.4l-1.6 1.6L8 9.6L3.6 14L2 12.4L6.4 8L2 3.6z",
    dots: "M3 6.5h2.5v3H3zm4 0h2.5v3H7zm4 0h2.5v3H11z",
};

/** A shape in the colour of the text beside it; `data-shape` names it to tests and tools. */
export function Shape({ name, size = "1em" }: { name: ShapeName; size?: string }) {
    return (
        <svg
            viewBox="0 0 16 16"
            width={size}
            height={size}
            aria-hidden
            data-shape={name}
            className="inline-block shrink-0"
        >
            <path d={PATHS[name]} fill="currentColor" fillRule="evenodd" />
        </svg>
    );
}
