// On narrow screens the theme opens its two drawers by labels of hidden checkboxes, which no keyboard reaches.
// Here buttons take their place; Escape closes what is open.
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
    const tell = () => buttons.forEach((each) => each.setAttribute("aria-expanded", String(box.checked)));
    const turn = (open, back) => {
      box.checked = open;
      tell();
      (open ? drawer.querySelector("input, a") : back)?.focus();
    };
    buttons.forEach((button) => button.addEventListener("click", () => turn(!box.checked, button)));
    box.addEventListener("change", tell);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && box.checked) turn(false, buttons.find((each) => each.offsetParent));
    });
    tell();
  }
});
