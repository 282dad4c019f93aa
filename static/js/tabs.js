// Turns a list of links to sections into tabs.  The hash names the open one, so that it can be
// pasted and the back button works.
function setUp(list) {
  const tabs = [...list.querySelectorAll("a")].filter((a) => document.querySelector(a.hash));
  const panels = tabs.map((a) => document.querySelector(a.hash));

  function show(index, focus) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
      panels[i].hidden = i !== index;
    });
    if (focus) tabs[index].focus();
    document.querySelectorAll("form[data-keeps-tab]").forEach((form) => { form.action = form.getAttribute("action").split("#")[0] + tabs[index].hash; });
    panels[index].dispatchEvent(new Event("datil:shown", { bubbles: true }));
  }

  function fromHash() {
    // Old links say #reports; a link to something inside a section opens that section.
    const name = location.hash.slice(1);
    const target = name && document.getElementById(name);
    const index = tabs.findIndex((tab, i) => tab.hash === `#${name}` || tab.hash === `#tab-${name}` || panels[i].contains(target || null));
    show(index < 0 ? 0 : index, false);
    if (index < 0 || !target || target === panels[index]) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  list.setAttribute("role", "tablist");
  tabs.forEach((tab, i) => {
    tab.parentElement.setAttribute("role", "presentation");
    tab.setAttribute("role", "tab");
    tab.id = tab.id || `for-${panels[i].id}`;
    tab.setAttribute("aria-controls", panels[i].id);
    panels[i].setAttribute("role", "tabpanel");
    panels[i].setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", tab.hash);
      show(i, true);
    });
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const to = { ArrowRight: i === last ? 0 : i + 1, ArrowLeft: i === 0 ? last : i - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      history.replaceState(null, "", tabs[to].hash);
      show(to, true);
    });
  });
  window.addEventListener("hashchange", fromHash);
  fromHash();
}

export default function tabs(lists) {
  lists.forEach(setUp);
}
