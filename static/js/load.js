// Parts of a page that are made when somebody looks at them: [data-load] names where they come from.
// Links inside that carry data-load-url replace the part instead of the page.
function setUp(box) {
  const panel = box.closest(".panel") || box;

  async function load(url) {
    box.setAttribute("aria-busy", "true");
    box.innerHTML = '<section class="card"><div class="card-pad"><p class="muted" role="status">Comparing crashes …</p><progress aria-label="Comparing crashes"></progress></div></section>';
    const answer = await fetch(url, { credentials: "same-origin" }).catch(() => null);
    const text = answer && answer.ok ? await answer.text() : "";
    box.removeAttribute("aria-busy");
    if (text) {
      box.innerHTML = text;
      return;
    }
    const why = answer && answer.status === 429 ? "Too many at once. Try again in a minute." : "This could not be loaded.";
    box.innerHTML = '<section class="card"><div class="card-pad"><p class="empty" role="status"></p><p><button type="button" class="button">Try again</button></p></div></section>';
    box.querySelector("p").textContent = why;
    box.querySelector("button").addEventListener("click", () => load(url));
  }

  function once() {
    if (panel.hidden || !box.dataset.load) return;
    const url = box.dataset.load;
    delete box.dataset.load;
    load(url);
  }

  box.addEventListener("click", (event) => {
    const link = event.target.closest("[data-load-url]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    load(link.dataset.loadUrl);
  });
  panel.addEventListener("datil:shown", once);
  // Tabs may have been set up before, or will be in a moment.
  if (document.querySelector("[role=tablist]")) once();
}

export default function parts(boxes) {
  boxes.forEach(setUp);
}
