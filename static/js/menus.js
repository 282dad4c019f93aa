// Menus are <details>; a click elsewhere, Escape or opening another one closes them.
export default function menus(all) {
  const close = (except) => all.forEach((menu) => menu !== except && (menu.open = false));

  all.forEach((menu) => menu.addEventListener("toggle", () => menu.open && close(menu)));
  document.addEventListener("click", (event) => close(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = all.find((menu) => menu.open);
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
}
