import { isSyncServiceRunning } from "@/utils/redis/syncService";

if (isSyncServiceRunning()) {
  console.log("Sync service is running");
}
