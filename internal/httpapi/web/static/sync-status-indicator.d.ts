// Types of sync-status-indicator.js.

import type { Action, ActionAnswer, SyncStatus } from "./rollcall-client.js";

/** Dispatched after each poll of the node. */
export type RollcallStatusEvent = CustomEvent<
  { state: "running" | "stopped"; status: SyncStatus } | { state: "error"; error: Error }
>;

/** Dispatched when an action begins and when it ends. */
export type RollcallActionEvent = CustomEvent<
  | { action: Action; phase: "started" }
  | { action: Action; phase: "done"; answer: ActionAnswer }
  | { action: Action; phase: "failed"; error: Error }
>;

export declare class SyncStatusIndicator extends HTMLElement {
  /** The node's URL, or a path of the page's origin such as /rollcall; "" means the origin of the module. Attribute: endpoint. */
  endpoint: string;
  /** Sent as Bearer. Attribute: token. */
  token: string;
  /** Milliseconds between polls, 1000 or more; 10000 by default. Attribute: interval. */
  interval: number;
  /** Shows no buttons. Attribute: readonly. */
  readonly: boolean;
  /** The last status that the node reported, or null. */
  readonly status: SyncStatus | null;
  /** Asks the node now; never rejects. */
  refresh(): Promise<void>;
  /** These resolve with the answer, or with undefined if it failed or another action runs; rollcall-action says which. */
  sync(): Promise<ActionAnswer | undefined>;
  cleanup(): Promise<ActionAnswer | undefined>;
  startService(): Promise<ActionAnswer | undefined>;
  stopService(): Promise<ActionAnswer | undefined>;
}

declare global {
  interface HTMLElementTagNameMap {
    "sync-status-indicator": SyncStatusIndicator;
  }
  interface HTMLElementEventMap {
    "rollcall-status": RollcallStatusEvent;
    "rollcall-action": RollcallActionEvent;
  }
}
