// The search form: lines of field, operator and value; suggestions for fields and values.
const version = new URL(import.meta.url).search;

// The fields come from the server, once: name to type, choices and description.
let fieldsPromise = null;
function fields() {
  fieldsPromise ??= fetch("/search/fields/", { headers: { "X-Requested-With": "XMLHttpRequest" } })
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  return fieldsPromise;
}

// The commonest values of a field in the last week, asked for once.
const valuesOf = new Map();
function values(field) {
  if (!valuesOf.has(field)) {
    const query = new URLSearchParams({ _results_number: "0", _facets_size: "200", _facets: field });
    valuesOf.set(
      field,
      fetch(`/api/SuperSearch/?${query}`)
        .then((answer) => (answer.ok ? answer.json() : { facets: {} }))
        .then((found) => (found.facets[field] ?? []).map((b) => ({ value: String(b.term), note: String(b.count) })))
        .catch(() => []),
    );
  }
  return valuesOf.get(field);
}

// Functions, files and modules of stacks are too many to have them all: those of crashes that have
// the text in one of theirs, once nobody has typed for a moment.
const TYPING_MS = 250;
let frameTurn = 0;
async function frameValues(field, text) {
  const mine = ++frameTurn;
  await new Promise((done) => setTimeout(done, TYPING_MS));
  if (mine !== frameTurn) return [];
  const query = { _results_number: "0", _facets_size: "2000", _facets: field };
  if (text) query[field] = "~" + text.replace(/[\\*?]/g, "\\$&");
  const answer = await fetch(`/api/SuperSearch/?${new URLSearchParams(query)}`).catch(() => null);
  const found = answer?.ok ? await answer.json() : { facets: {} };
  return (found.facets[field] ?? [])
    .filter((b) => b.term.includes(text) && b.term !== text)
    .map((b) => ({ value: b.term, note: String(b.count) }));
}

// "malloc <- =ma" is being completed at its end: what comes before, and the text of the last frame.
function lastFrame(text) {
  const [, before, last] = /^(.* <--? (?:!?[=~^$]?))?(.*)$/s.exec(text);
  return [before ?? "", last];
}

function fitOperators(select, kind) {
  const current = select.value;
  // Kind of field to its operators; the page brings them along.
  const operators = JSON.parse(select.closest("[data-operators]").dataset.operators);
  const offered = operators[kind] ?? [];
  if (!offered.length) return;
  select.replaceChildren(...offered.map(([label, code]) => new Option(label, code, false, code === current)));
  if (!offered.some(([, code]) => code === current)) select.selectedIndex = 0;
}

let lineCount = 0;
function setUpLine(line, complete) {
  const [field, value] = line.querySelectorAll("input");
  const operator = line.querySelector("select");
  const remove = line.querySelector("[data-remove-line]");

  lineCount += 1;
  [field, operator, value].forEach((control, i) => {
    const label = line.querySelector(`label[for="${control.id}"]`);
    control.id = `line-${lineCount}-${i}`;
    if (label) label.htmlFor = control.id;
  });
  remove.hidden = false;
  remove.addEventListener("click", () => {
    const all = line.parentElement.children;
    if (all.length > 1) line.remove();
    else [field, value].forEach((control) => (control.value = ""));
  });

  const fit = async () => {
    const found = (await fields())[field.value];
    if (found) fitOperators(operator, found.valueType);
  };
  // Not disabled: every line sends its three values, or they would slip into other lines.
  const needless = () => {
    value.readOnly = /__(null|true)__$/.test(operator.value);
    if (value.readOnly) value.value = "";
  };
  field.addEventListener("change", () => fit().then(needless));
  operator.addEventListener("change", needless);
  fit().then(needless);

  complete(
    value,
    async (text) => {
      const found = (await fields())[field.value];
      if (!found || found.valueType === "date" || value.readOnly || operator.value.endsWith("@")) return [];
      if (found.valueType === "frames") return frameValues(field.value, lastFrame(text)[1]);
      const wanted = text.toLowerCase();
      return (await values(field.value)).filter((entry) => entry.value.toLowerCase().includes(wanted) && entry.value !== text);
    },
    async (chosen) => {
      const isFrames = (await fields())[field.value]?.valueType === "frames";
      value.value = (isFrames ? lastFrame(value.value)[0] : "") + chosen;
    },
  );
}

// Inputs that hold field names separated by commas.
function setUpList(input, complete) {
  const split = (text) => {
    const comma = text.lastIndexOf(",") + 1;
    return [text.slice(0, comma), text.slice(comma).trim()];
  };
  complete(
    input,
    async (text) => {
      const wanted = split(text)[1].replace(/^-/, "").toLowerCase();
      const have = new Set(text.split(",").map((part) => part.trim()));
      return Object.entries(await fields())
        .filter(([name]) => name.includes(wanted) && !have.has(name))
        .map(([name, f]) => ({ value: name, note: f.description }));
    },
    (chosen) => {
      const [before, part] = split(input.value);
      input.value = `${before}${before ? " " : ""}${part.startsWith("-") ? "-" : ""}${chosen}, `;
      input.dispatchEvent(new Event("input"));
    },
  );
}

export default async function searchForm() {
  const { complete } = await import(`./completion.js${version}`);

  document.querySelectorAll("[data-field-list]").forEach((input) => setUpList(input, complete));
  document.querySelectorAll("[data-search-lines]").forEach((lines) => {
    const blank = lines.lastElementChild.cloneNode(true);
    const button = lines.closest("form").querySelector("[data-new-line]");
    [...lines.children].forEach((line) => setUpLine(line, complete));
    button.hidden = false;
    button.addEventListener("click", () => {
      const line = blank.cloneNode(true);
      lines.append(line);
      setUpLine(line, complete);
      line.querySelector("input").focus();
    });
  });
}
