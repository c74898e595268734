/** The two ways out of the page. The mock agent replaces them; nothing else in the page opens a connection. */
export const transport = {
    fetch: (request: Request): Promise<Response> => globalThis.fetch(request),
    socket: (url: string, protocols: string[]): LiveSocket => new WebSocket(url, protocols),
};

/** The part of a WebSocket the live stream uses. */
export interface LiveSocket {
    binaryType: BinaryType;
    onopen: ((event: Event) => void) | null;
    onmessage: ((event: MessageEvent) => void) | null;
    onclose: ((event: CloseEvent) => void) | null;
    close(): void;
}
