// A formula that is wider than its box moves inside it. Who uses the keyboard must be able to get there.
const focusable = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", 0);
    else target.removeAttribute("tabindex");
  }
});

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  document.querySelectorAll("div.math mjx-container").forEach((formula) => focusable.observe(formula));
});
