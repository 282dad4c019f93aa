// Sorts tables by the column whose heading is pressed: numbers as numbers, the rest as text.
function keyOf(row, column) {
  const cell = row.cells[column];
  const text = (cell.dataset.value ?? cell.textContent).trim();
  const number = Number(text.split(/\s/)[0].replace(/[,%+]/g, "").replace("−", "-"));
  return { text, number: text === "" || Number.isNaN(number) ? null : number };
}

function compare(a, b) {
  if (a.number !== null && b.number !== null) return a.number - b.number;
  if (a.number !== null || b.number !== null) return a.number !== null ? -1 : 1;
  return a.text.localeCompare(b.text, "en", { numeric: true });
}

function sortBy(table, column, heading) {
  const body = table.tBodies[0];
  const isNumber = heading.classList.contains("num");
  const before = heading.getAttribute("aria-sort");
  const direction = before ? (before === "ascending" ? -1 : 1) : isNumber ? -1 : 1;
  const rows = [...body.rows].map((row) => ({ row, key: keyOf(row, column) }));
  rows.sort((a, b) => direction * compare(a.key, b.key));
  rows.forEach(({ row }) => body.append(row));
  table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

export default function tables(all) {
  for (const table of all) {
    if (!table.tBodies[0] || table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort-button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sortBy(table, column, heading));
    });
  }
}
