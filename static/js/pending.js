// Waits for a report to be processed, then shows it.
const EVERY_MS = 5000;

export default function pending([box]) {
  const id = box.dataset.pending;
  const status = box.querySelector("[data-pending-status]");
  let tries = 0;

  async function look() {
    tries += 1;
    const answer = await fetch(`/api/ProcessedCrash/?crash_id=${encodeURIComponent(id)}`, { method: "GET" }).catch(() => null);
    if (answer && answer.ok) {
      location.reload();
      return;
    }
    status.textContent = `Looked ${tries} ${tries === 1 ? "time" : "times"} so far.`;
    setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS / 5);
}
