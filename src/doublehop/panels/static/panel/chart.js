/* Bandwidth: points made by the server, drawn by uPlot, colours from the tokens. The table below holds the same facts.
   A frame is <div class="dh-chart" data-chart data-url="address">; the answer is {unit: "Mbit/s", start, end, step (s),
   out: [number or null], in, top, p95, gaps: [[from, until]], marks, zone, sample}, with times in seconds since 1970. Figures
   that were provided come as volumes, in "GB" for each hour or day. Drawing a box over a part sends the form for any span. */
(() => {
  "use strict";
  const ink = (box, name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    box.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const wash = (colour, share) => {
    const rgb = colour.match(/[\d.]+/g);
    return colour.startsWith("rgb") ? `rgba(${rgb[0]}, ${rgb[1]}, ${rgb[2]}, ${share})` : colour;
  };
  const FONT = "'Inter Variable', system-ui, sans-serif";
  const UNITS = { "Mbit/s": [[1000, "Gbit/s"], [1, "Mbit/s"], [0.001, "kbit/s"]], GB: [[1000, "TB"], [1, "GB"], [0.001, "MB"]] };
  const unitFor = (unit, top) => UNITS[unit].find(([size]) => top >= size) || UNITS[unit][2];
  const nothing = (data) => (data.provided ? "no figure" : "not measured");
  const DAY = 86400;
  const grain = (seconds) => (seconds < 7200 ? `${seconds / 60} minutes` : seconds < 172800 ? `${seconds / 3600} hours` : `${seconds / 86400} days`);

  const label = (u, text, x, y, colour, card, bold, align) => {
    const { ctx } = u, r = devicePixelRatio;
    ctx.save();
    ctx.textAlign = "left"; ctx.textBaseline = "alphabetic"; ctx.font = `${bold ? 600 : 400} ${12 * r}px ${FONT}`;
    const width = ctx.measureText(text).width, left = align === "right" ? x - width : x;
    ctx.fillStyle = card; ctx.globalAlpha = 0.85; ctx.fillRect(left - 4 * r, y - 11 * r, width + 8 * r, 15 * r);
    ctx.globalAlpha = 1; ctx.fillStyle = colour; ctx.fillText(text, left, y);
    ctx.restore();
  };
  const DASH = { p95: [2, 3], allowance: [9, 5] };

  const draw = (box, data) => {
    box.textContent = "";
    const C = { out: ink(box, "--dh-chart-out"), in: ink(box, "--dh-chart-in"), p95: ink(box, "--dh-chart-p95"),
      allowance: ink(box, "--dh-chart-allowance"), gap: ink(box, "--dh-chart-gap"), ink: ink(box, "--dh-ink-2"),
      line: ink(box, "--dh-line"), card: ink(box, "--dh-card") };
    const r = devicePixelRatio, narrow = box.clientWidth < 500;
    const x = data.out.map((_, i) => data.start + i * data.step);
    const so = data.over ? "" : " so far";
    const lines = data.p95 === null || data.p95 === undefined ? []
      : [{ value: data.p95, kind: "p95", label: `95th percentile${so}: ${data.p95.toFixed(1)} ${data.unit}`, short: `95th ${data.p95.toFixed(1)}` }];
    const high = Math.max(0.001, ...data.out.concat(data.in, data.top).filter((v) => v !== null), ...lines.map((line) => line.value));
    /* what is included far above all that flowed would press the lines to the ground: then its words stand at the top */
    for (const mark of data.marks || []) lines.push({ ...mark, kind: "allowance", above: mark.value > high * 4 });
    const top = Math.max(high, ...lines.filter((line) => !line.above).map((line) => line.value));
    const [size, unit] = unitFor(data.unit, top);
    const part = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: data.zone, ...options });
    const long = data.end - data.start > 100 * 86400, day = data.end - data.start < 3 * 86400;
    const clock = part({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }), date = part({ day: "numeric", month: "short" });
    const few = data.end - data.start < 15 * 86400;
    /* a day that is told once needs no second time: between two days stand clocks */
    const shape = (moment) => {
      if (long) return part({ month: "short" }).format(moment);
      return day || (few && clock.format(moment) !== "00:00") ? clock.format(moment) : date.format(moment);
    };

    const gaps = (u) => {
      const { ctx, bbox } = u;
      const places = data.gaps.map(([since, until]) => {
        const left = u.valToPos(since, "x", true);
        return [left, Math.max(u.valToPos(until, "x", true) - left, 3 * r)];
      });
      ctx.save(); ctx.fillStyle = C.gap;
      for (const [left, width] of places) ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.restore();
      let lastLabel = -Infinity;
      for (const [left, width] of places) {
        const text = left + width + 90 * r < bbox.left + bbox.width ? left + width + 6 * r : left - 84 * r;
        if (text - lastLabel > 110 * r && text >= bbox.left) { label(u, nothing(data), text, bbox.top + 12 * r, C.ink, C.card); lastLabel = text; }
      }
    };
    const rules = (u) => {
      const { ctx, bbox } = u;
      const heights = lines.filter((line) => !line.above).map((line) => u.valToPos(line.value / size, "y", true));
      for (const line of lines) {
        if (line.above) { label(u, `${narrow ? line.short : line.label}, far above`, bbox.left + bbox.width - 6 * r, bbox.top + 12 * r, C[line.kind], C.card, true, "right"); continue; }
        const y = u.valToPos(line.value / size, "y", true);
        ctx.save(); ctx.strokeStyle = C[line.kind]; ctx.lineWidth = 1.5 * r; ctx.setLineDash(DASH[line.kind].map((n) => n * r));
        ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke(); ctx.restore();
        /* words of a line right below another one stand below it, not across the other's */
        const below = heights.some((other) => other < y && y - other < 18 * r);
        label(u, narrow ? line.short : line.label, bbox.left + bbox.width - 6 * r, below ? y + 15 * r : y - 6 * r, C[line.kind], C.card, true, "right");
      }
      if (data.sample) {
        const { ctx: c } = u;
        c.save(); c.translate(bbox.left + bbox.width / 2, bbox.top + bbox.height / 2); c.rotate(-0.18);
        c.textAlign = "center"; c.globalAlpha = 0.28; c.fillStyle = C.ink; c.font = `600 ${(narrow ? 22 : 36) * r}px ${FONT}`;
        c.fillText("sample history", 0, 0); c.restore();
      }
    };
    const scaled = (values) => values.map((value) => (value === null ? null : value / size));
    const chart = new uPlot({
      width: box.clientWidth, height: box.clientHeight, padding: [16, 8, 0, 0], legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, setScale: false, dist: 8 } },
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), data.zone),
      scales: { x: { time: true, range: [data.start, data.end] }, y: { range: (u, low, high) => [0, Math.max(high || 0, top / size) * 1.12] } },
      axes: [
        { stroke: C.ink, font: `12px ${FONT}`, size: 30, space: narrow ? 62 : 74, grid: { show: false }, ticks: { stroke: C.line },
          values: (u, splits) => splits.map((s) => (s < data.end ? shape(new Date(s * 1e3)).replace("Sept", "Sep") : "")) },
        { stroke: C.ink, font: `12px ${FONT}`, size: 52, space: 34, grid: { stroke: C.line, width: 1 }, ticks: { show: false },
          values: (u, splits) => splits.map((s) => (s >= 10 || s === 0 ? s.toFixed(0) : s.toFixed(1))) },
      ],
      series: [{},
        { stroke: C.out, width: 1.25, fill: wash(C.out, 0.14), points: dots(data, C.out) },
        { stroke: C.in, width: 1.25, dash: [4, 2], points: dots(data, C.in) },
        { stroke: wash(C.allowance, 0.7), width: 0.75, points: { show: false } }],
      hooks: { drawClear: [gaps], draw: [rules], setSelect: [(u) => zoom(box, u, data)], setCursor: [(u) => follow(box, u, x, data, size, unit, part)] },
    }, [x, scaled(data.out), scaled(data.in), data.top.length ? scaled(data.top) : x.map(() => null)], box);
    const peaks = box.parentElement.querySelector("[data-chart-top]");
    if (peaks) peaks.hidden = data.top.length === 0;
    const words = box.parentElement.querySelector("[data-chart-grain]");
    if (words) words.textContent = told(data, unit);
    return chart;
  };

  /* the part that was drawn over, on full five minutes, as the form for any span */
  const zoom = (box, u, data) => {
    const form = box.closest(".card")?.querySelector("[data-chart-zoom]");
    if (!form || u.select.width < 8) return;
    const grain = data.days || data.provided ? 86400 : 300;
    const since = Math.max(data.start, Math.floor(u.posToVal(u.select.left, "x") / grain) * grain);
    const until = Math.max(since + Math.max(grain, 1800), Math.ceil(u.posToVal(u.select.left + u.select.width, "x") / grain) * grain);
    const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: data.zone, dateStyle: "short", timeStyle: "short" });
    const local = (seconds) => clock.format(new Date(seconds * 1e3)).replace(" ", "T");
    form.elements.from.value = local(since); form.elements.to.value = local(until); form.elements.zone.value = data.zone;
    form.requestSubmit();
  };

  /* a single day between two gaps has no line; of many days only such ones have dots */
  const alone = (values) => values.flatMap((v, i) => (v !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));
  const dots = (data, colour) => {
    if (!data.provided) return { show: false };
    return { show: true, size: 4, fill: colour, filter: (u, i) => (data.out.length > 62 ? alone(u.data[i]) : null) };
  };

  const told = (data, unit) => {
    if (!data.provided) return data.step > 300 ? `${unit}, each point the average of ${grain(data.step)}` : `${unit}, 5-minute values`;
    if (data.step > DAY) return `${unit} a day, each point the average of ${grain(data.step)}`;
    return data.step === DAY ? `${unit} a day` : `${unit} an hour`;
  };

  const follow = (box, u, x, data, size, unit, part) => {
    const words = box.parentElement.querySelector("[data-chart-point]");
    if (!words) return;
    const i = u.cursor.idx;
    if (i === null || i === undefined) { words.textContent = ""; return; }
    const clock = (data.provided || data.days) && data.step >= DAY ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const time = part({ day: "numeric", month: "short", ...clock }).format(new Date(x[i] * 1e3));
    const value = (v) => (v === null ? nothing(data) : `${(v / size).toFixed(1)} ${unit}`);
    const most = data.top[i] === undefined || data.top[i] === null ? "" : `, highest ${value(data.top[i])}`;
    words.textContent = data.out[i] === null ? `${time}: ${nothing(data)}` : `${time}: out ${value(data.out[i])}, in ${value(data.in[i])}${most}`;
  };

  const load = async (box) => {
    const width = box.clientWidth < 500 ? 400 : 1500;
    const answer = await fetch(`${box.dataset.url}${box.dataset.url.includes("?") ? "&" : "?"}points=${width}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`chart ${answer.status}`);
    const data = await answer.json();
    let chart = draw(box, data);
    let timer;
    const again = () => { clearTimeout(timer); timer = setTimeout(() => { chart.destroy(); chart = draw(box, data); }, 120); };
    new ResizeObserver(() => { if (Math.abs(chart.width - box.clientWidth) > 2) again(); }).observe(box);
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  };
  const failed = (box) => { box.textContent = "The drawing could not be loaded. The table below holds the same figures."; box.classList.add("dh-chart-failed"); };
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    load(entry.target).catch(() => failed(entry.target));
  }), { rootMargin: "1200px" });
  const begin = () => document.querySelectorAll("[data-chart]:not([data-watched])").forEach((box) => { box.dataset.watched = "1"; seen.observe(box); });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); else begin();
  document.addEventListener("htmx:afterSettle", begin);
})();
