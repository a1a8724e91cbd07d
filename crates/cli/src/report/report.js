(() => {
  const plots = [...document.querySelectorAll(".plot[data-y]")].map((el) => {
    const [low, high] = el.dataset.y.split(" ").map(Number);
    const [start, end] = el.dataset.t.split(" ").map(Number);
    return { el, low, high, start, end, curves: null };
  });
  const read = (p) => [...p.el.querySelectorAll(".curve")].map((c) => ({
    name: c.dataset.n,
    points: (c.getAttribute("d").match(/-?[\d.]+ -?[\d.]+/g) || []).map((s) => s.split(" ").map(Number)),
  }));
  const value = (p, curve, x) => {
    let best = null, gap = 12;
    for (const q of curve.points) {
      const d = Math.abs(q[0] - x);
      if (d < gap) { gap = d; best = q; }
    }
    return best && p.high - (best[1] / 100) * (p.high - p.low);
  };
  const clear = () => document.querySelectorAll(".hair,.tip").forEach((e) => e.remove());
  const show = (at, share) => {
    clear();
    for (const p of plots) {
      const hair = document.createElement("div");
      hair.className = "hair";
      hair.style.left = share * 100 + "%";
      p.el.append(hair);
    }
    at.curves = at.curves || read(at);
    const tip = document.createElement("div");
    tip.className = "tip";
    const lines = [(at.start + share * (at.end - at.start)).toFixed(2) + " s"];
    for (const c of at.curves) {
      const v = value(at, c, share * 1000);
      if (v !== null) lines.push(c.name + "  " + v.toPrecision(3));
    }
    tip.textContent = lines.join("\n");
    tip.style.whiteSpace = "pre";
    tip.style[share < 0.5 ? "left" : "right"] = (share < 0.5 ? share : 1 - share) * 100 + 1 + "%";
    at.el.append(tip);
  };
  for (const p of plots) {
    p.el.addEventListener("pointermove", (e) => {
      const box = p.el.getBoundingClientRect();
      show(p, Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)));
    });
    p.el.addEventListener("pointerleave", clear);
  }
})();
