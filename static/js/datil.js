// Loads what the page in hand can use.  Every page reads well without any of it.
const version = new URL(import.meta.url).search;

const parts = [
  ["details.menu", "menus.js"],
  ["[data-tabs]", "tabs.js"],
  ["table[data-sortable]", "tables.js"],
  ["[data-copy]", "copy.js"],
  ["[data-stack]", "stacks.js"],
  ["[data-filter]", "filter.js"],
  ["[data-search-form], [data-field-list]", "search-form.js"],
  ["[data-graph-url]", "graph.js"],
  ["[data-pending]", "pending.js"],
  ["[data-progress]", "progress.js"],
  ["[data-api-form]", "api.js"],
  ["[data-load]", "load.js"],
];

for (const [selector, file] of parts) {
  const found = document.querySelectorAll(selector);
  if (found.length) {
    import(`./${file}${version}`).then((part) => part.default([...found]));
  }
}
