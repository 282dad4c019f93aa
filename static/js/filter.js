// Text fields that leave of a list only what has the text: threads, rows of modules, lines of JSON.
function itemsOf(root, selector) {
  const items = [...root.querySelectorAll(selector)];
  if (selector !== "pre") return items.map((item) => ({ text: item.textContent.toLowerCase(), show: (on) => { item.hidden = !on; } }));
  return items.flatMap((pre) => {
    const lines = pre.textContent.split("\n").map((line) => {
      const span = document.createElement("span");
      span.textContent = `${line}\n`;
      return span;
    });
    pre.replaceChildren(...lines);
    return lines.map((span) => ({ text: span.textContent.toLowerCase(), show: (on) => { span.hidden = !on; } }));
  });
}

export default function filters(inputs) {
  for (const input of inputs) {
    let items = null;
    input.hidden = false;
    input.addEventListener("input", () => {
      items ??= itemsOf(document.getElementById(input.dataset.filter), input.dataset.filterItems);
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      items.forEach((item) => item.show(words.every((word) => item.text.includes(word))));
    });
  }
}
