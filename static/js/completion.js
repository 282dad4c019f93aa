// A list of suggestions below an input: a combobox after the ARIA pattern.
//
// suggest(text) answers (or promises) [{value, note}]; choose(value) puts it into the input.
export function complete(input, suggest, choose) {
  const list = document.createElement("ul");
  let shown = [];
  let active = -1;
  let turn = 0;

  list.className = "listbox";
  list.hidden = true;
  list.id = `${input.id}-list`;
  list.setAttribute("role", "listbox");
  input.parentElement.append(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-controls", list.id);

  function hide() {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(index) {
    active = index;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === index)));
    if (index >= 0) {
      input.setAttribute("aria-activedescendant", list.children[index].id);
      list.children[index].scrollIntoView({ block: "nearest" });
    }
  }

  async function show() {
    const mine = ++turn;
    const found = (await suggest(input.value)).slice(0, 40);
    if (mine !== turn || document.activeElement !== input) return;
    shown = found;
    list.replaceChildren(
      ...found.map((entry, i) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${i}`;
        item.setAttribute("role", "option");
        item.textContent = entry.value;
        if (entry.note) {
          const note = document.createElement("span");
          note.className = "muted small";
          note.textContent = ` ${entry.note}`;
          item.append(note);
        }
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          choose(entry.value);
          hide();
        });
        return item;
      }),
    );
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    list.style.minWidth = `${Math.min(input.offsetWidth, 420)}px`;
    mark(-1);
  }

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("blur", hide);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      hide();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) show();
      else mark((active + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % shown.length);
    } else if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      choose(shown[active].value);
      hide();
    }
  });
}
