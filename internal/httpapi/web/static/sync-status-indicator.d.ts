// Types of sync-status-indicator.js.

import type { Action, ActionAnswer, SyncStatus } from "./rollcall-client.js";

/** Told after each look at the node. */
export type RollcallStatusEvent = CustomEvent<
  { state: "running" | "stopped"; status: SyncStatus } | { state: "error"; error: Error }
>;

/** Told when an action begins and when it ends. */
export type RollcallActionEvent = CustomEvent<
  | { action: Action; phase: "started" }
  | { action: Action; phase: "done"; answer: ActionAnswer }
  | { action: Action; phase: "failed"; error: Error }
>;

export declare class SyncStatusIndicator extends HTMLElement {
  /** The node's URL; "" is where the module came from. Attribute: endpoint. */
  endpoint: string;
  /** Sent as Bearer. Attribute: token. */
  token: string;
  /** Milliseconds between looks, 1000 or more; 10000 by default. Attribute: interval. */
  interval: number;
  /** Without buttons. Attribute: readonly. */
  readonly: boolean;
  /** What the node told last, or null. */
  readonly status: SyncStatus | null;
  /** Asks the node now; never rejects. */
  refresh(): Promise<void>;
  /** These resolve with the answer, or with undefined when it failed or another action runs; rollcall-action tells. */
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
