// On narrow screens the theme opens its drawers by labels of hidden checkboxes, which the keyboard cannot reach.
// This replaces the labels by buttons; Escape closes an open drawer.
document.addEventListener("DOMContentLoaded", () => {
  const drawers = [
    ["__navigation", ".nav-overlay-icon", ".sidebar-drawer", "Pages of this site"],
    ["__toc", ".toc-overlay-icon", ".toc-drawer", "On this page"],
  ];
  for (const [id, icons, place, name] of drawers) {
    const box = document.getElementById(id);
    const drawer = document.querySelector(place);
    if (!box || !drawer) continue;
    drawer.setAttribute("aria-label", name);
    drawer.id ||= `drawer-${id}`;
    const buttons = [...document.querySelectorAll(icons)].map((label) => {
      const button = document.createElement("button");
      button.className = label.className;
      button.setAttribute("aria-label", name);
      button.setAttribute("aria-controls", drawer.id);
      button.append(...label.childNodes);
      label.replaceWith(button);
      return button;
    });
    const update = () => buttons.forEach((each) => each.setAttribute("aria-expanded", String(box.checked)));
    const turn = (open, back) => {
      box.checked = open;
      update();
      (open ? drawer.querySelector("input, a") : back)?.focus();
    };
    buttons.forEach((button) => button.addEventListener("click", () => turn(!box.checked, button)));
    box.addEventListener("change", update);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && box.checked) turn(false, buttons.find((each) => each.offsetParent));
    });
    update();
  }
});

// Sphinx's search ignores numbers. Readers who type the status of a rate limit mean its words.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const parse = Search._parseQuery;
  Search._parseQuery = (query) => parse(query.replace(/\b429\b/g, "rate limit"));
});
