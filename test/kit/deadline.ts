/**
 * Ends the process of a test file that hangs: Node's runner gives up a test after its time, but waits for the process
 * as long as anything keeps it. Loaded before each file (Makefile).
 */
const LONGEST_FILE_MS = 1_200_000;

function endWithReason(): void {
  const kept = [...new Set(process.getActiveResourcesInfo())].join(', ');
  console.error(`This test file has not ended after ${LONGEST_FILE_MS / 1000} s. It is kept by: ${kept}.`);
  process.exit(1);
}

// The runner loads this too, and lives as long as all its files.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) setTimeout(endWithReason, LONGEST_FILE_MS).unref();
