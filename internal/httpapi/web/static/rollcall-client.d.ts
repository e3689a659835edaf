// Types of rollcall-client.js. docs/api.md says what each field means.

/** An answer other than success. */
export declare class RollcallError extends Error {
  constructor(message: string, options?: { status?: number; retryAfter?: number; cause?: unknown });
  /** The HTTP status; 0 when the node did not answer. */
  readonly status: number;
  /** Seconds after which to try again; 0 when the answer named none. */
  readonly retryAfter: number;
}

/** Counts of rooms: examined, failed, removed. */
export interface SyncResult {
  synced: number;
  errors: number;
  cleaned: number;
}

/** What the breaker keeps from being removed, and for how many scheduled cycles by now. */
export interface Held {
  rooms: number;
  participants: number;
  cycles: number;
}

/** The last run of a sync or a cleanup. */
export interface Report {
  /** ISO 8601 */
  startedAt: string;
  durationMs: number;
  /** By the clock and not by an operator. */
  scheduled: boolean;
  result: SyncResult;
  /** Rooms whose keys were not right. */
  changed: number;
  /** What was repaired, by reason. */
  drift: Record<string, number>;
  /** Differences left alone because a webhook told otherwise a moment before. */
  deferred?: number;
  held: Held;
  firstError?: string;
  /** Entries of LiveKit's lists that could not be used. */
  passedOver?: { entries: number; first: string };
  /** It took longer than 5 min. */
  slow?: boolean;
}

/** How far a running cycle is. */
export interface Progress {
  kind: string;
  done: number;
  of: number;
  /** ISO 8601 */
  startedAt: string;
  /** It cannot end within 5 min, as far as can be told. */
  slow?: boolean;
}

/** GET /api/sync-rooms. Intervals are milliseconds, times ISO 8601; what is not known is left out. */
export interface SyncStatus {
  syncServiceRunning: boolean;
  timestamp: string;
  node: string;
  leader?: string;
  term: number;
  syncInterval: number;
  cleanupInterval: number;
  nextSync?: string;
  nextCleanup?: string;
  lastSync?: Report;
  lastCleanup?: Report;
  progress?: Progress;
}

export type Action = "sync" | "cleanup" | "full-sync" | "start-service" | "stop-service";

/** One change that a dry run did not make. */
export interface WouldChange {
  room: string;
  change: string;
  identity: string;
  sid: string;
  reason: string;
}

/** The answer of POST /api/sync-rooms; which fields are there depends on the action. */
export interface ActionAnswer {
  action: Action;
  /** ISO 8601 */
  timestamp: string;
  result?: SyncResult;
  sync?: SyncResult;
  cleaned?: number;
  cleanup?: number;
  running?: boolean;
  held?: Held;
  wouldChange?: WouldChange[];
  firstError?: string;
}

/** Where a rollcall node is and by which right to ask it. */
export interface Where {
  /** The node's URL. Default: where this module came from. */
  endpoint?: string;
  /** The admin token, or a LiveKit access token; sent as Bearer. Default: none. */
  token?: string;
  /** Default: the global fetch. */
  fetch?: typeof globalThis.fetch;
}

export interface Abortable {
  signal?: AbortSignal;
}

export interface ActOptions extends Abortable {
  /** Change nothing, list what would change. */
  dryRun?: boolean;
  /** Let removals go that the breaker holds. */
  force?: boolean;
}

export interface RequestOptions extends Abortable {
  method?: string;
  headers?: HeadersInit;
  body?: BodyInit;
}

export interface Client {
  status(options?: Abortable): Promise<SyncStatus>;
  sync(options?: ActOptions): Promise<ActionAnswer>;
  cleanup(options?: ActOptions): Promise<ActionAnswer>;
  fullSync(options?: ActOptions): Promise<ActionAnswer>;
  startService(options?: Abortable): Promise<ActionAnswer>;
  stopService(options?: Abortable): Promise<ActionAnswer>;
  act(action: Action, options?: ActOptions): Promise<ActionAnswer>;
  /** GETs any path of the API, in at most 15 s. */
  read<T = unknown>(path: string, options?: Abortable): Promise<T>;
  /** Requests any path of the API and resolves with its JSON. */
  request<T = unknown>(path: string, options?: RequestOptions): Promise<T>;
  /** Requests any path of the API and resolves with the response, to be read as it comes. */
  open(path: string, options?: RequestOptions): Promise<Response>;
}

/** Makes a client. Its methods reject with a RollcallError, or with the signal's reason when it was aborted. */
export declare function createClient(where?: Where): Client;

/** Runs a sync now and resolves with its answer when it has ended. */
export declare function triggerImmediateSync(options?: Where & ActOptions): Promise<ActionAnswer>;

/** Resolves with whether the schedule of syncs is running. */
export declare function isSyncServiceRunning(options?: Where & Abortable): Promise<boolean>;
