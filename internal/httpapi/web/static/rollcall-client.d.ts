// Types of rollcall-client.js. docs/api.md says what each field means.

/** An answer other than success. */
export declare class RollcallError extends Error {
  constructor(message: string, options?: { status?: number; retryAfter?: number; cause?: unknown });
  /** The HTTP status; 0 if the node did not answer. */
  readonly status: number;
  /** Seconds after which to try again; 0 if the answer named none. */
  readonly retryAfter: number;
}

/** Counts of rooms: compared, failed, removed. */
export interface SyncResult {
  synced: number;
  errors: number;
  cleaned: number;
}

/** The removals that the breaker holds back, and for how many scheduled syncs so far. */
export interface Held {
  rooms: number;
  participants: number;
  cycles: number;
}

/** The last sync or cleanup. */
export interface Report {
  /** ISO 8601 */
  startedAt: string;
  durationMs: number;
  /** Started by the schedule, not by an operator. */
  scheduled: boolean;
  result: SyncResult;
  /** Rooms whose keys were changed. */
  changed: number;
  /** What was repaired, by reason. */
  drift: Record<string, number>;
  /** Differences left alone because a webhook had just reported otherwise. */
  deferred?: number;
  held: Held;
  firstError?: string;
  fault?: Fault;
  /** With a fault of LiveKit: Redis held no room as the cycle began. */
  redisEmpty?: boolean;
  /** Entries of LiveKit's lists that could not be used. */
  passedOver?: { entries: number; first: string };
  /** The cycle took longer than 5 min. */
  slow?: boolean;
}

/** Why a cycle compared no room: whose list of rooms it lacked. */
export type Fault = "livekit_silent" | "livekit_refuses" | "livekit_limited" | "redis_silent";

/** How Redis answers the node, or LiveKit answered the last sync; at is when that sync started, since is since when it fails. */
export interface Dependency {
  state: "ok" | "silent" | "refuses" | "limited" | "partial" | "unknown";
  error?: string;
  /** ISO 8601 */
  at?: string;
  /** ISO 8601 */
  since?: string;
}

/** The progress of a running cycle. */
export interface Progress {
  kind: string;
  done: number;
  of: number;
  /** ISO 8601 */
  startedAt: string;
  /** The cycle is not expected to end within 5 min. */
  slow?: boolean;
}

/** GET /api/sync-rooms. Intervals are milliseconds, times ISO 8601; unknown fields are left out. */
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
  /** When the last sync without an error began. */
  lastGoodSync?: string;
  progress?: Progress;
  /** Older nodes do not say. */
  redis?: Dependency;
  livekit?: Dependency;
  /** The token may act, and not only read. */
  mayAct: boolean;
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

/** The answer of POST /api/sync-rooms; the action determines which fields are present. */
export interface ActionAnswer {
  action: Action;
  /** The room, of a sync of one. */
  room?: string;
  /** Of a sync of one room that was compared: false if neither Redis nor LiveKit has it. */
  found?: boolean;
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
  fault?: Fault;
  redisEmpty?: boolean;
}

/** The answer of triggerImmediateSync: that of the action, with the counts of its result at its top as well. */
export interface ImmediateSync extends ActionAnswer {
  synced: number;
  errors: number;
  cleaned: number;
}

/** A room in a list. Times are Unix milliseconds. */
export interface RoomSummary {
  roomName: string;
  participantCount: number;
  createdAt: number;
  lastUpdated: number;
}

/** One connection of one identity to a room. */
export interface Participant {
  identity: string;
  /** Unix milliseconds */
  joinedAt: number;
  metadata: string;
  sid: string;
  name: string;
  attributes: Record<string, string>;
  kind: string;
  hidden: boolean;
  version: number;
}

/** The state of a room, as rooms:states has it. Times are Unix milliseconds. */
export interface Room {
  roomName: string;
  sid: string;
  isActive: boolean;
  createdAt: number;
  lastUpdated: number;
  maxParticipants: number;
  metadata: string;
  version: number;
  participants: Participant[];
}

/** A change of a room. The type determines data: a participant, a room with or without participants, or null. */
export interface Change {
  room: string;
  type: "participant_joined" | "participant_left" | "participant_updated" | "room_started" | "room_updated" | "room_finished" | "room_snapshot";
  identity: string;
  sid: string;
  cause: "webhook" | "sync" | "cleanup";
  version: number;
  /** Unix milliseconds */
  time: number;
  data: Participant | Room | Omit<Room, "participants"> | null;
  /** Of a participant_left: LiveKit's DisconnectReason by name. */
  reason?: string;
  /** Of a participant_left, as leftAt: Unix milliseconds */
  joinedAt?: number;
  leftAt?: number;
}

/** What events() yields. "connected" comes at the start and after each break; the changes of the break follow, as far as the node has them. */
export type RollcallEvent =
  | { type: "connected"; id: string; data: null }
  | { type: "change"; id: string; data: Change }
  | { type: "leader"; id: string; data: { leader: string; term: number; epoch: number } }
  | { type: "members"; id: string; data: { epoch: number; members: string[] } }
  | { type: "service"; id: string; data: { running: boolean } }
  | { type: "redis"; id: string; data: Dependency }
  | { type: "sync" | "cleanup"; id: string; data: Report };

/** One server-sent event as it came. The first one is "connected". */
export interface ServerSentEvent {
  event: string;
  data: string;
  id?: string;
}

/** Where a rollcall node is, and the token for it. */
export interface Where {
  /** The node's URL, which begins with http:// or https:// itself; in browsers also a path of the page's origin, such as /rollcall. Give it where a bundler packs this module. Default: the variable ROLLCALL_ADDR in Node.js, otherwise the origin of this module. */
  endpoint?: string;
  /** The admin token, or a LiveKit access token; sent as Bearer. Default: none; with ROLLCALL_ADDR, the variable ROLLCALL_TOKEN. */
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
  /** Do the removals that the breaker holds. */
  force?: boolean;
}

export interface SyncOptions extends ActOptions {
  /** Compare this room alone. Default: every room; undefined is refused. */
  room?: string;
}

export interface RoomsOptions extends Abortable {
  /** Only rooms whose name contains this, ignoring case. */
  search?: string;
}

export interface EventsOptions extends Abortable {
  /** Only the changes of this room; undefined is refused. */
  room?: string;
  /** The id of the last change that the caller has. Default: from now on. */
  after?: string;
}

export interface StreamOptions extends Abortable {
  /** The id of the last event that the caller has. */
  lastId?: string;
}

export interface RequestOptions extends Abortable {
  method?: string;
  headers?: HeadersInit;
  body?: BodyInit;
}

export interface Client {
  status(options?: Abortable): Promise<SyncStatus>;
  sync(options?: SyncOptions): Promise<ActionAnswer>;
  cleanup(options?: ActOptions): Promise<ActionAnswer>;
  fullSync(options?: ActOptions): Promise<ActionAnswer>;
  startService(options?: Abortable): Promise<ActionAnswer>;
  stopService(options?: Abortable): Promise<ActionAnswer>;
  act(action: Action, options?: SyncOptions): Promise<ActionAnswer>;
  /** All rooms, by name. While part of Redis does not answer it rejects; the error's `rooms` are those that could be read. */
  rooms(options?: RoomsOptions): Promise<RoomSummary[]>;
  /** A room's state, or null if there is no such room now. */
  room(name: string, options?: Abortable): Promise<Room | null>;
  /** Everyone who is in a room, of whatever kind; nobody if there is no such room now. */
  participants(name: string, options?: Abortable): Promise<Participant[]>;
  /**
   * What happens, until the caller stops or signal aborts, which makes it throw the signal's reason. It connects again by itself and continues after
   * the last change. It throws a RollcallError if the node refuses for good (400 to 499).
   */
  events(options?: EventsOptions): AsyncGenerator<RollcallEvent>;
  /** One connection of server-sent events, until it ends. It throws as open does, and when nothing came for 45 s. */
  stream(path: string, options?: StreamOptions): AsyncGenerator<ServerSentEvent>;
  /** GETs any path of the API, in at most 15 s. */
  read<T = unknown>(path: string, options?: Abortable): Promise<T>;
  /** Requests any path of the API and resolves with its JSON. */
  request<T = unknown>(path: string, options?: RequestOptions): Promise<T>;
  /** Requests any path of the API and resolves with the response, to be read as a stream. */
  open(path: string, options?: RequestOptions): Promise<Response>;
}

/** Makes a client. Its methods reject with a RollcallError, or with the signal's reason if it was aborted. */
export declare function createClient(where?: Where): Client;

/** Sets the node of all calls that name none, also in other copies of this module, and resolves with its status. Call it once, at the start. */
export declare function connect(where?: Where): Promise<SyncStatus>;

/** Runs a sync now, of all rooms or of one, and resolves with its answer when it has ended. */
export declare function triggerImmediateSync(options?: Where & SyncOptions): Promise<ImmediateSync>;

/** Syncs one room: triggerImmediateSync by another name. */
export declare function syncRoomFromLiveKit(name: string, options?: Where & ActOptions): Promise<ImmediateSync>;

/** Syncs all rooms: triggerImmediateSync by another name. */
export declare function syncAllRoomsWithLiveKit(options?: Where & ActOptions): Promise<ImmediateSync>;

/**
 * Returns whether the schedule of syncs was running when the node was last asked: at most 2 s ago, once connect has resolved. It is false before
 * the first answer, while the node does not answer, and while nothing says where the node is.
 */
export declare function isSyncServiceRunning(): boolean;
/** Resolves with whether the schedule of syncs is running, by asking the node. */
export declare function isSyncServiceRunning(options: Where & Abortable): Promise<boolean>;

/** Resolves with all rooms, by name. */
export declare function rooms(options?: Where & RoomsOptions): Promise<RoomSummary[]>;

/** Resolves with a room's state, or null if there is no such room now. */
export declare function room(name: string, options?: Where & Abortable): Promise<Room | null>;

/** Resolves with everyone who is in a room, of whatever kind; with nobody if there is no such room now. */
export declare function participants(name: string, options?: Where & Abortable): Promise<Participant[]>;

/** Resolves with the identities that count as present: not hidden, kinds STANDARD and SIP, which is the default of --count-kinds. */
export declare function getRoomParticipants(name: string, options?: Where & Abortable): Promise<string[]>;

/** Yields what happens, as the client's method of that name does. */
export declare function events(options?: Where & EventsOptions): AsyncGenerator<RollcallEvent>;
