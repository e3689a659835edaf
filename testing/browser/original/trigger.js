import { triggerImmediateSync } from "@/utils/redis/syncService";

// Trigger immediate sync
const result = await triggerImmediateSync();
console.log(`Synced ${result.synced} rooms, cleaned ${result.cleaned}`);
