/** What a message carries to the host. */
export type Data = string | ArrayBuffer | ArrayBufferView;
/** What a message carries to the page: a text, or bytes if it was sent as binary. */
export type Payload = string | Uint8Array;
/** Why messages of a topic are missing. */
export type Gap = 
/** More came than the topic keeps. */
"count"
/** They were older than the topic keeps them. */
 | "age"
/** They had more bytes than are kept. */
 | "bytes"
/** The host was started again. */
 | "restart"
/** The topic has no history, and the connection was interrupted. */
 | "none"
/** The module let the subscription begin later than where this client was; something may be missing. */
 | "skipped";
/** A message of a topic, or one that the module has sent to this client alone. */
export interface Message {
    data: Payload;
    /** The topic; none if the module has sent the message to this client. */
    topic?: string;
    /** Where the message is in the history of the topic; none if the topic does not keep it. */
    position?: string;
    /** The name that the publisher gave the message. */
    id?: string;
}
/** A connection that is subscribed to a topic with `presence`. */
export interface Member {
    /** Its id in the host. */
    connection: number;
    /** What the module says about it, usually JSON. */
    data?: string;
}
export type Handler = (data: Payload, message: Message) => void;
export interface Options {
    /** Subprotocols for the module, beside that of the host. */
    protocols?: string[];
    /** Returns the token that the client shows, a JSON Web Token. It is called for each attempt to connect, and before the token
     *  expires: the next one goes over the connection. If it returns the same token then, it is called a few times more. It may
     *  take as long as `connectTimeout`. */
    token?: () => string | Promise<string>;
    /** The wait before another attempt is random, below `base` the first time, and below twice as much each further time, but
     *  below `cap`. Milliseconds: 500 and 30,000. */
    backoff?: {
        base?: number;
        cap?: number;
    };
    /** An attempt to connect is given up after so many milliseconds: 15,000. `Infinity`: never. */
    connectTimeout?: number;
    /** A request is given up after so many milliseconds: 10,000. `Infinity`: never. */
    requestTimeout?: number;
    /** How much waits while there is no connection: 100 messages, and 1,048,576 bytes. Bytes also bound what a browser has
     *  not yet sent on a connection. */
    queue?: {
        messages?: number;
        bytes?: number;
    };
    /** A WebSocket that is not the one of the browser. */
    WebSocket?: new (url: string, protocols: string[]) => WebSocket;
}
export interface RequestOptions {
    /** Milliseconds, instead of `requestTimeout`. */
    timeout?: number;
    /** Ask again if the connection breaks before the answer comes, and is not resumed. The module may then be asked twice. */
    retry?: boolean;
}
export interface SubscribeOptions {
    /** Begin behind this position, which an earlier subscription had. */
    since?: string;
    /** Begin with so many of the last messages. */
    rewind?: number;
}
/** A topic to which the page has subscribed this client. */
export interface Subscription {
    readonly topic: string;
    /** The position up to which the page has the messages; none if the topic has no history, or before `ready`. */
    readonly position: string | undefined;
    /** Settled when the host has answered. It is rejected with a `HassockError` if the subscription is refused. */
    readonly ready: Promise<void>;
    unsubscribe(): void;
}
/** What goes wrong. `code` is one of the host's, such as `refused`, or one of the library's:
 *  `disconnected`, `timeout`, `queue-full`, `closed`, `invalid-topic`, `invalid-position`, `subscribed`, `protocol`, `url`, `token`. */
export interface HassockError extends Error {
    readonly code: string;
}
export interface Events {
    /** There is a connection. */
    open: {
        /** The id of the connection in the host. */
        connection: number;
        /** What the module has chosen of `protocols`. */
        subprotocol: string | undefined;
        /** Whether there was a connection before. */
        again: boolean;
        /** Whether it is the connection from before: nothing was lost, in either direction. */
        resumed: boolean;
    };
    /** A connection has ended, or the client has. */
    close: {
        code: number;
        reason: string;
        /** Whether the client connects again. */
        reconnect: boolean;
        /** If it does not: how many messages waited, and were never sent. */
        unsent: number;
    };
    /** There is no connection; the next attempt, the first being 1, is made after so many milliseconds. */
    reconnecting: {
        attempt: number;
        delay: number;
    };
    /** A subscription has begun again, and nothing is missing. What was missed follows. */
    recovered: {
        topic: string;
    };
    /** Messages of a topic are missing here. What follows is what is kept. */
    gap: {
        topic: string;
        gap: Gap;
    };
    /** Who is subscribed to a topic has changed, or is known now. */
    presence: {
        topic: string;
        /** How many there are. */
        count: number;
        /** All of them; none if there are too many. */
        members: Member[] | undefined;
        /** Those that have come, or whose data has changed, and the ids of those that have left, if the list was known before. */
        joined: Member[];
        left: number[];
    };
    /** The module has ended a subscription of the page. */
    unsubscribed: {
        topic: string;
    };
    /** A message which no `subscribe` or `listen` takes. */
    message: Message;
    error: HassockError;
}
export interface Client {
    readonly state: "connecting" | "open" | "waiting" | "closed";
    /** The id of the connection in the host; none without a connection. */
    readonly connection: number | undefined;
    /** Call a function at each event of a kind, until the function that this returns is called. */
    on<K extends keyof Events>(event: K, listener: (event: Events[K]) => void): () => void;
    /** Send a message to the module, or keep a copy of it until there is a connection. Throws `queue-full` or `closed`, and a
     *  `TypeError` if the data is neither a text nor bytes: a `Blob` is not. */
    send(data: Data): void;
    /** Ask the module something. Rejected with what the module or the host says, or with `timeout`, `disconnected` (the module
     *  may or may not have been asked), `queue-full` or `closed`, or with a `TypeError` as `send`. */
    request(data: Data, options?: RequestOptions): Promise<Payload>;
    /** Subscribe to a topic, for as long as the client lives. Throws `subscribed`, `invalid-topic`, `invalid-position` or
     *  `closed`. */
    subscribe(topic: string, handler: Handler, options?: SubscribeOptions): Subscription;
    /** Take the messages of a topic to which the module subscribes this client, until the function that this returns is
     *  called. */
    listen(topic: string, handler: Handler): () => void;
    /** End the connection, and do not connect again. The code is 1000 or 3000 to 4999, and the reason has at most 123 bytes:
     *  otherwise it throws a `RangeError`, and nothing changes. */
    close(code?: number, reason?: string): void;
}

/** Connect to an app, and again whenever the connection ends. The address may be that of a WebSocket, or a path such as `/chat`
 *  of the host of the page. A function is called before each attempt, for an address with a token that expires. */
export declare function connect(url: string | (() => string | Promise<string>), options?: Options): Client;
