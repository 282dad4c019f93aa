// Crashes per day as an interactive chart, in place of the still picture that came with the page.
// The page loads uPlot before this (window.uPlot).

const COLOURS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Ticks fall on midnights only: 1, 2, 7, 14, 28 and 91 days apart.
const DAYS = [1, 2, 7, 14, 28, 91].map((n) => n * 86400);
const dayName = (ts) => new Date(ts * 1000).toISOString().slice(5, 10);

// Days without a crash are not in the answer: fill them with zeroes.
function toColumns(data) {
  const terms = data.term_counts.slice(0, 4).map((bucket) => String(bucket.term));
  const byDay = new Map(data.aggregates.map((bucket) => [Date.parse(bucket.term) / 1000, bucket]));
  const days = [...byDay.keys()].sort((a, b) => a - b);
  const times = [];
  for (let t = days[0]; t <= days[days.length - 1]; t += 86400) times.push(t);
  const lines = terms.map((term) =>
    times.map((t) => (byDay.get(t)?.facets?.[data.aggregation] ?? []).find((b) => String(b.term) === term)?.count ?? 0),
  );
  return { terms, columns: [times, ...lines] };
}

function draw(box, data) {
  const { terms, columns } = toColumns(data);
  if (columns[0].length < 2) return;
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--muted"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  // The still picture's name says which days are partial.
  const partial = box.querySelector("svg > title")?.textContent.match(/\d{4}-\d\d-\d\d/g) ?? box.partial ?? [];
  box.partial = partial;
  const dayLabel = (day) => day + (partial.includes(day) ? " (partial)" : "");
  const size = () => ({ width: box.clientWidth - 32, height: 260 });
  const options = {
    ...size(),
    tzDate: (ts) => window.uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    cursor: { points: { size: 7 } },
    axes: [{ ...axis, incrs: DAYS, values: (_, ticks) => ticks.map(dayName) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((n) => (n % 1 ? "" : n.toLocaleString("en"))) }],
    series: [
      { value: (_, ts) => (ts === null ? "" : dayLabel(new Date(ts * 1000).toISOString().slice(0, 10))), label: "Day" },
      ...terms.map((term, i) => ({ label: term, stroke: colour(COLOURS[i]), width: 2, points: { show: columns[0].length < 40 } })),
    ],
  };
  box.replaceChildren();
  const plot = new window.uPlot(options, columns, box);
  new ResizeObserver(() => box.clientWidth > 64 && plot.setSize(size())).observe(box);
}

export default function graphs(boxes) {
  for (const box of boxes) {
    const load = async () => {
      const answer = await fetch(box.dataset.graphUrl, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      if (!answer.ok) return;
      const data = await answer.json();
      const redraw = () => box.clientWidth > 0 && data.aggregates.length > 1 && draw(box, data);
      redraw();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    };
    // A panel that is hidden has no width: wait until it is shown.
    new IntersectionObserver((entries, observer) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        load();
      }
    }).observe(box);
  }
}
