/* What the pages do beyond links and forms. Everything can be read without it. No eval, no inline handlers. */
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));

  /* ages: seconds below a minute, minutes below an hour, then the clock (the same rule as words.ago) */
  const zone = root.dataset.zone || "UTC";
  /* "Sep", as the server writes it; the browser's English says "Sept" */
  const parts = (date, options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }).format(date).replace("Sept", "Sep");
  const clock = (date) => {
    const time = parts(date, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const now = new Date();
    const day = (d) => parts(d, { year: "numeric", month: "numeric", day: "numeric" });
    if (day(date) === day(now)) return time;
    const sameYear = parts(date, { year: "numeric" }) === parts(now, { year: "numeric" });
    return `${parts(date, { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) })}, ${time}`;
  };
  /* the server's clock counts, not the one of this machine */
  const served = document.querySelector("meta[name=served-at]");
  const skew = served ? Date.parse(served.content) - Date.now() : 0;
  const offset = Math.abs(skew) > 5000 ? skew : 0;
  const countAges = () => {
    const now = Date.now() + offset;
    for (const element of all("time[data-age]")) {
      const then = new Date(element.dateTime);
      const seconds = Math.max(0, Math.floor((now - then) / 1000));
      const words = seconds < 60 ? `${seconds} s ago` : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago` : clock(then);
      const text = `${element.dataset.age} ${words}`.trim();
      if (element.textContent !== text) element.textContent = text;
    }
  };
  setInterval(() => { if (!document.hidden) countAges(); }, 1000);

  /* what a screen reader hears: once per change */
  const say = (text) => { const region = document.getElementById("dh-say"); if (region && text) region.textContent = text; };

  /* toasts: 6 s, waiting while pointed at or focused */
  const fade = (toast) => {
    let timer;
    const start = () => { timer = setTimeout(() => toast.remove(), 6000); };
    const stop = () => clearTimeout(timer);
    toast.addEventListener("mouseenter", stop); toast.addEventListener("mouseleave", start);
    toast.addEventListener("focusin", stop); toast.addEventListener("focusout", start);
    start();
  };
  const toast = (text) => {
    const box = document.getElementById("dh-toasts");
    if (!box) return;
    const one = document.createElement("div");
    one.className = "dh-toast"; one.textContent = text;
    box.append(one); fade(one);
  };

  /* dialogs: native, opened by [data-dialog], the safe button has the focus, the opener gets it back */
  const openDialog = (id, opener) => {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return;
    dialog.showModal();
    const safe = dialog.querySelector("[data-close]");
    if (safe) safe.focus();
    dialog.addEventListener("close", () => {
      const back = opener && (opener.isConnected ? opener : document.getElementById(opener.id));
      if (back) back.focus();
    }, { once: true });
  };

  /* a pressed button: same width, spinner in the icon's place, second press ignored */
  const markSending = (button) => {
    button.style.width = `${button.offsetWidth}px`;
    button.classList.add("dh-sending");
    button.setAttribute("aria-disabled", "true");
    button.setAttribute("aria-busy", "true");
    const use = button.querySelector("use");
    if (!use) return;
    button.dataset.icon = use.getAttribute("href");
    use.setAttribute("href", `${button.dataset.icon.split("#")[0]}#refresh`);
    use.parentNode.classList.add("dh-spin");
  };
  const unmarkSending = (button) => {
    button.style.width = "";
    button.classList.remove("dh-sending");
    button.removeAttribute("aria-disabled");
    button.removeAttribute("aria-busy");
    const use = button.querySelector("use");
    if (use && button.dataset.icon) { use.setAttribute("href", button.dataset.icon); use.parentNode.classList.remove("dh-spin"); }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const typed = form.querySelector("[data-must-equal]");
    if (typed && typed.value.trim() !== typed.dataset.mustEqual) {
      event.preventDefault();
      typed.setCustomValidity(`Type ${typed.dataset.mustEqual}`); typed.reportValidity(); typed.setCustomValidity("");
      return;
    }
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.removeAttribute("data-changed");
    if (event.submitter) setTimeout(() => markSending(event.submitter));
  });
  /* back button: the page may come from memory with its buttons still grey */
  const release = (form) => { delete form.dataset.sent; all(".dh-sending", form).forEach(unmarkSending); };
  addEventListener("pageshow", (event) => { if (event.persisted) all("form[data-sent]").forEach(release); });

  /* unsaved changes: forms with data-guard */
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (form && form.hasAttribute("data-guard")) form.dataset.changed = "1";
  });
  addEventListener("beforeunload", (event) => { if (document.querySelector("form[data-changed]:not([data-sent])")) event.preventDefault(); });
  document.addEventListener("reset", (event) => event.target.removeAttribute("data-changed"));

  /* parts of a form that hang on a choice: data-when="module=x login=fields" ("module" alone: anything); what is hidden is not sent */
  const holds = (form, condition) => {
    const [name, value] = condition.split("=");
    const present = form.elements[name] ? form.elements[name].value : "";
    return value === undefined ? present !== "" : present === value;
  };
  const followChoices = (form) => {
    for (const part of all("[data-when]", form)) {
      const fits = part.dataset.when.split(" ").every((condition) => holds(form, condition));
      part.hidden = !fits;
      part.disabled = !fits;
    }
  };

  /* ticks and the bar they show */
  const countTicks = (form) => {
    const ticks = all("input[data-tick]", form);
    const chosen = ticks.filter((tick) => tick.checked).length;
    const bar = form.querySelector("[data-bulk]");
    if (bar) { bar.hidden = chosen === 0; bar.querySelector("[data-bulk-count]").textContent = `${chosen} chosen`; }
    const told = form.querySelector("[data-tick-count]");
    if (told) told.textContent = `${chosen} server${chosen === 1 ? "" : "s"} ticked.`;
    /* what belongs to one tick is shown while that is set */
    const kept = new Set(ticks.filter((tick) => tick.checked).map((tick) => tick.value));
    all("[data-follows]", form).forEach((row) => { row.hidden = !kept.has(row.dataset.follows); });
    all("[data-follows-some]", form).forEach((part) => { part.hidden = chosen === 0; });
    all("[data-follows-none]", form).forEach((part) => { part.hidden = chosen > 0; });
    const whole = form.querySelector("input[data-tick-all]");
    if (whole) { whole.checked = chosen > 0 && chosen === ticks.length; whole.indeterminate = chosen > 0 && chosen < ticks.length; }
  };
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("input[data-tick-all]")) all("input[data-tick]", box.form).forEach((tick) => { tick.checked = box.checked; });
    if (box.matches("input[data-tick], input[data-tick-all]")) countTicks(box.form);
    if (box.form && box.form.querySelector("[data-when]")) followChoices(box.form);
    if (box.matches("input[data-column]")) all(`input[data-in="${box.dataset.column}"]`, box.form).forEach((tick) => { tick.checked = box.checked; });
    if (box.matches("[data-submit-on-change]")) box.form.requestSubmit();
    if (box.matches("[data-single-keys]")) localStorage.setItem("single-keys", box.checked ? "on" : "off");
  });

  /* one listener for all presses */
  const closeMenus = (except) => all("details[data-menu][open]").forEach((menu) => { if (menu !== except) menu.open = false; });
  const copy = async (button) => {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied"); say(`Copied ${button.dataset.copy}`);
  };
  const toggleDrawer = (link) => {
    const drawer = document.getElementById(link.dataset.drawer);
    const open = drawer.classList.toggle("dh-open");
    link.setAttribute("aria-expanded", open);
    if (open) drawer.querySelector("a").focus();
  };
  document.addEventListener("click", (event) => {
    const target = event.target.closest("button, a, summary");
    closeMenus(event.target.closest("details[data-menu]"));
    const drawer = document.querySelector(".dh-side.dh-open");
    if (drawer && !event.target.closest(".dh-side, [data-drawer]")) drawer.classList.remove("dh-open");
    if (event.target.tagName === "DIALOG") event.target.close();
    if (!target) return;
    if (target.getAttribute("aria-disabled") === "true") { event.preventDefault(); return; }
    if (target.dataset.dialog) openDialog(target.dataset.dialog, target);
    else if (target.hasAttribute("data-close")) target.closest("dialog").close();
    else if (target.dataset.copy) copy(target);
    else if (target.dataset.drawer) { event.preventDefault(); toggleDrawer(target); }
    else if (target.hasAttribute("data-choose-none")) {
      all("input[data-tick], input[data-tick-all]", target.form).forEach((tick) => { tick.checked = false; });
      countTicks(target.form);
    }
  });

  /* keys: "/" to the search, "?" the list, Escape closes menus and the drawer */
  const singleKeys = () => localStorage.getItem("single-keys") !== "off";
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const menu = document.querySelector("details[data-menu][open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
      const drawer = document.querySelector(".dh-side.dh-open");
      if (drawer) { drawer.classList.remove("dh-open"); document.querySelector("[data-drawer]").focus(); }
      return;
    }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !singleKeys()) return;
    const search = document.querySelector("[data-search]");
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
    if (event.key === "?") openDialog("dh-keys", document.activeElement);
  });

  /* live fragments: [data-poll="4"] gets the event dh-poll each 4 s while the page is looked at, never in a hidden tab */
  const polled = new WeakMap();
  const poll = () => {
    if (document.hidden || !window.htmx) return;
    const now = Date.now();
    for (const element of all("[data-poll]")) {
      const every = Number(element.dataset.poll) * 1000;
      if (now - (polled.get(element) || 0) < every) continue;
      polled.set(element, now);
      htmx.trigger(element, "dh-poll");
    }
  };
  setInterval(poll, 500);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    countAges();
    all("[data-poll]").forEach((element) => polled.set(element, 0));
    poll();
  });

  /* what the last answer was is told to the server, so that an unchanged fragment costs no swap */
  const tags = new Map();
  let leftOut = false;
  /* what somebody is typing into, or has chosen and not saved, is not replaced by what arrives */
  const isTouched = (field) => {
    if (field === document.activeElement) return true;
    if (field.tagName !== "SELECT") return field.type === "hidden" ? false : field.value !== field.defaultValue;
    const first = field.querySelector("option[selected]") || field.options[0];
    return Boolean(first) && field.value !== first.value;
  };
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const old = event.detail.target;
    if (!old.hasAttribute("data-typed") && !all("input, select, textarea", old).some(isTouched)) return;
    event.detail.shouldSwap = false;
    leftOut = true;
  });
  document.addEventListener("htmx:configRequest", (event) => {
    const { verb, path, headers } = event.detail;
    if (verb === "get" && event.detail.elt.dataset.poll && tags.has(path)) headers["If-None-Match"] = tags.get(path);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr, pathInfo, successful } = event.detail;
    if (elt.dataset.poll && xhr.status === 200) {
      if (leftOut) tags.delete(pathInfo.requestPath); else tags.set(pathInfo.requestPath, xhr.getResponseHeader("ETag"));
      leftOut = false;
    }
    if (elt.dataset.poll && (successful || xhr.status === 304)) elt.removeAttribute("data-old");
    if (elt.tagName === "FORM") release(elt);
  });
  /* a fragment that fails leaves the old value standing and marks it old */
  const markOld = (event) => {
    const element = event.detail.elt;
    if (!element.dataset.poll) return;
    element.dataset.old = "1";
    all(element.dataset.marks || ".dh-live .dh-pill").forEach((pill) => pill.classList.add("dh-stale"));
  };
  document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr.status !== 304) markOld(event); });
  document.addEventListener("htmx:sendError", markOld);
  document.addEventListener("htmx:timeout", markOld);

  const arrived = () => {
    countAges();
    all("[data-toast]").forEach((one) => { one.removeAttribute("data-toast"); fade(one); });
    all("form:has([data-tick])").forEach(countTicks);
    const told = document.querySelector("[data-say]");
    if (told && told.dataset.say !== root.dataset.said) {
      if (root.dataset.said !== undefined) say(told.dataset.say);
      root.dataset.said = told.dataset.say;
    }
  };
  document.addEventListener("htmx:afterSwap", () => arrived());
  document.addEventListener("htmx:oobAfterSwap", () => arrived());

  const begin = () => {
    arrived();
    const summary = document.querySelector("[data-focus]");
    if (summary) summary.focus();
    const keys = document.querySelector("[data-single-keys]");
    if (keys) keys.checked = singleKeys();
    all("form:has([data-when])").forEach(followChoices);
    for (const opener of all("[data-drawer]")) opener.setAttribute("aria-expanded", "false");
    const willing = document.querySelector("form[data-posts-itself]");
    if (willing && !document.prerendering) willing.requestSubmit(willing.querySelector("button"));
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); else begin();
})();
