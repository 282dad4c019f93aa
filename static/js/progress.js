// How far runs are, asked for every two seconds until all are done.
const EVERY_MS = 2000;

export default function progress([table]) {
  async function look() {
    const answer = await fetch(table.dataset.progress, { credentials: "same-origin" }).catch(() => null);
    if (!answer || !answer.ok) return;
    const { runs } = await answer.json();
    for (const run of runs) {
      const row = table.querySelector(`[data-run="${run.id}"]`);
      if (!row) continue;
      const done = run.total - run.waiting;
      row.querySelector("progress").value = done;
      row.querySelector("[data-run-text]").textContent = `${done.toLocaleString("en")} of ${run.total.toLocaleString("en")}`;
      row.querySelector("[data-run-failed]").textContent = run.failed;
    }
    if (runs.some((run) => run.waiting > 0)) setTimeout(look, EVERY_MS);
  }
  setTimeout(look, EVERY_MS);
}
