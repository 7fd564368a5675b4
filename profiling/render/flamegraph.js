(function () {
  "use strict";
  const svg = document.currentScript.closest("svg");
  const total = Number(svg.dataset.total);
  const margin = Number(svg.dataset.margin);
  const inner = Number(svg.dataset.width) - 2 * margin;
  const characterWidth = Number(svg.dataset.character);
  const reset = svg.querySelector(".reset");
  const matched = svg.querySelector(".matched");
  const search = svg.querySelector(".search");
  const frames = Array.from(svg.querySelectorAll("g.frame"), (element) => ({
    element,
    rect: element.querySelector("rect"),
    text: element.querySelector("text"),
    name: element.dataset.name,
    start: Number(element.dataset.start),
    count: Number(element.dataset.count),
    level: Number(element.dataset.level),
  }));

  function label(name, width) {
    const letters = Math.floor((width - 4) / characterWidth);
    if (letters < 3) return "";
    return name.length <= letters ? name : name.slice(0, letters - 1) + "…";
  }

  function zoom(target) {
    const start = target ? target.start : 0;
    const count = target ? target.count : total;
    const level = target ? target.level : 0;
    const end = start + count;
    for (const frame of frames) {
      const frameEnd = frame.start + frame.count;
      const inside = frame.start >= start && frameEnd <= end && frame.level >= level;
      const around = frame.start <= start && frameEnd >= end && frame.level < level;
      frame.element.style.display = inside || around ? "" : "none";
      frame.element.classList.toggle("ancestor", around);
      if (!inside && !around) continue;
      const left = around ? margin : margin + ((frame.start - start) / count) * inner;
      const width = around ? inner : (frame.count / count) * inner;
      frame.rect.setAttribute("x", left.toFixed(2));
      frame.rect.setAttribute("width", width.toFixed(2));
      frame.text.setAttribute("x", (left + 3).toFixed(2));
      frame.text.textContent = label(frame.name, width);
    }
    reset.setAttribute("visibility", target && target.level > 0 ? "visible" : "hidden");
  }

  function mark(pattern) {
    let expression = null;
    if (pattern) {
      try {
        expression = new RegExp(pattern, "i");
      } catch (error) {
        matched.textContent = "not a regular expression";
        return;
      }
    }
    const found = [];
    for (const frame of frames) {
      const hit = expression !== null && expression.test(frame.name);
      frame.element.classList.toggle("match", hit);
      if (hit) found.push(frame);
    }
    // A match inside a match would be counted twice: the widest at each place counts.
    found.sort((a, b) => a.start - b.start || b.count - a.count);
    let covered = 0;
    let reached = 0;
    for (const frame of found) {
      const from = Math.max(frame.start, reached);
      const to = frame.start + frame.count;
      if (to > from) covered += to - from;
      reached = Math.max(reached, to);
    }
    matched.textContent = expression ? "matched: " + ((100 * covered) / total).toFixed(1) + " %" : "";
  }

  for (const frame of frames) frame.element.addEventListener("click", () => zoom(frame));
  reset.addEventListener("click", () => zoom(null));
  search.addEventListener("input", () => mark(search.value));
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      mark("");
      zoom(null);
    }
  });
})();
