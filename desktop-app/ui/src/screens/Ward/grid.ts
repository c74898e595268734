/** Columns for so many beds: large tiles for a few, 5 × 4 for twenty; more than twenty scroll. */
export function columnsFor(beds: number): number {
    if (beds <= 1) return 1;
    if (beds <= 4) return 2;
    if (beds <= 9) return 3;
    if (beds <= 16) return 4;
    return 5;
}

/** The grid's tracks: rows share the height and never get lower than a tile can be read. */
export function gridFor(beds: number): { gridTemplateColumns: string; gridTemplateRows: string } {
    const columns = columnsFor(beds);
    return {
        gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
        gridTemplateRows: `repeat(${Math.ceil(beds / columns)}, minmax(11.5rem, 1fr))`,
    };
}
