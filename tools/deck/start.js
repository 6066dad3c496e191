Reveal.initialize({
  width: 1200, height: 800, margin: 0.03, center: false, hash: true, slideNumber: "c/t", transition: "none",
});
