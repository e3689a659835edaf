// Runs the original's snippets, and returns what they print. module is rollcall-client.js, and load loads a snippet again.
export async function runAll(module, load) {
  const printed = [];
  const print = console.log;
  console.log = (text) => printed.push(text);
  const state = async (wanted) => {
    const end = Date.now() + 60_000;
    while (module.isSyncServiceRunning() !== wanted) {
      if (Date.now() > end) throw new Error(`it never said ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await load("running.js");
    printed.push(wanted ? "(it runs)" : "(it does not run)");
  };
  try {
    await load("trigger.js");
    await load("running.js"); // nothing is known yet
    printed.push("(unknown)");
    await state(true);
    await module.createClient().stopService();
    await module.connect();
    await state(false);
    await module.createClient().startService();
    await state(true);
  } finally {
    console.log = print;
  }
  return printed.join("\n");
}
