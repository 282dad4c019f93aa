// Buttons above a stack: copy it as text or as Markdown, and show what the walker only guessed.
function framesOf(stack) {
  return [...stack.querySelectorAll("table.frames tbody tr:not(.cut)")].map((row) =>
    [...row.cells].map((cell) => cell.textContent.replace("Ø", "").trim()));
}

function asText(frames) {
  const width = Math.max(...frames.map(([, module]) => module.length));
  return frames.map(([number, module, name, source]) =>
    `${number.padStart(3)}  ${module.padEnd(width)}  ${name}${source ? `  [${source}]` : ""}`).join("\n") + "\n";
}

function asMarkdown(frames) {
  const cell = (text) => (text ? "`" + text.replaceAll("`", "'").replaceAll("|", "\\|") + "`" : "");
  return ["| | Module | Function | Source |", "|--:|---|---|---|",
    ...frames.map(([number, module, name, source]) => `| ${number} | ${cell(module)} | ${cell(name)} | ${cell(source)} |`)].join("\n") + "\n";
}

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button small";
  made.textContent = label;
  made.addEventListener("click", () => act(made));
  return made;
}

function copier(stack, label, format) {
  return button(label, async (made) => {
    await navigator.clipboard.writeText(format(framesOf(stack)));
    made.textContent = "Copied";
    setTimeout(() => (made.textContent = label), 1500);
  });
}

// Frames found by scanning are often left over from other calls: they are folded until asked for.
function folder(rows) {
  const label = `${rows.length} low confidence frame${rows.length === 1 ? "" : "s"}`;
  const set = (made, hidden) => {
    rows.forEach((row) => { row.hidden = hidden; });
    made.textContent = (hidden ? "Show " : "Hide ") + label;
    made.setAttribute("aria-expanded", String(!hidden));
  };
  const made = button("", () => set(made, made.getAttribute("aria-expanded") === "true"));
  set(made, !rows.some((row) => `#${row.id}` === location.hash));
  return made;
}

function setUp(stack) {
  const table = stack.querySelector("table.frames");
  if (!table || stack.querySelector(".stack-tools")) return;
  const tools = document.createElement("div");
  tools.className = "row stack-tools";
  const scanned = [...table.querySelectorAll("tr.scan")];
  if (navigator.clipboard) tools.append(copier(stack, "Copy stack", asText), copier(stack, "Markdown", asMarkdown));
  if (scanned.length) tools.append(folder(scanned));
  table.parentElement.before(tools);
}

export default function stacks(found) {
  for (const stack of found) {
    // Of hundreds of threads only those that are opened get buttons.
    if (stack.tagName === "DETAILS") stack.addEventListener("toggle", () => stack.open && setUp(stack));
    else setUp(stack);
  }
}
