"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const main = byId("main");
  const picture = byId("picture");
  const text = document.querySelector(".text");
  const words = text ? [...text.querySelectorAll("span")] : [];
  const widths = words.map((word) => word.style.width);
  const passage = [...document.querySelectorAll(".marks .passage")];
  const givenZoom = Number(root.dataset.zoom) || 1;
  let zoom = givenZoom;

  // The browser takes the picture that is sharp enough for the size at which it is shown.
  const sharpen = () => {
    if (picture) picture.sizes = `${Math.round(picture.clientWidth)}px`;
  };

  const applyZoom = () => {
    root.style.setProperty("--zoom", zoom);
    byId("zoom").textContent = `${Math.round(zoom * 100)} %`;
    sharpen();
    for (const link of document.querySelectorAll("a[href^='?']")) {
      const query = new URLSearchParams(link.getAttribute("href"));
      if (zoom === 1) query.delete("z");
      else query.set("z", zoom);
      link.setAttribute("href", `?${query}`);
    }
  };

  // The middle of what is seen stays where it is.
  const setZoom = (wanted) => {
    const x = (main.scrollLeft + main.clientWidth / 2) / main.scrollWidth;
    const y = (main.scrollTop + main.clientHeight / 2) / main.scrollHeight;
    zoom = Math.min(4, Math.max(0.5, Math.round(wanted * 100) / 100));
    applyZoom();
    main.scrollTo(x * main.scrollWidth - main.clientWidth / 2, y * main.scrollHeight - main.clientHeight / 2);
  };

  // Each word gets exactly the width it has on the page, whatever font the browser has; measured first, then written.
  const fitWords = () => {
    words.forEach((word, i) => (word.style.width = widths[i]));
    const wanted = words.map((word) => word.clientWidth);
    for (const word of words) word.style.width = "max-content";
    const natural = words.map((word) => word.offsetWidth);
    words.forEach((word, i) => {
      if (natural[i] > 0 && wanted[i] > 0) word.style.transform = `scaleX(${(wanted[i] / natural[i]).toFixed(4)})`;
    });
  };

  const passageSides = () => {
    const boxes = passage.map((mark) => mark.getBoundingClientRect());
    return [Math.min(...boxes.map((box) => box.left)), Math.max(...boxes.map((box) => box.right))];
  };

  // In a narrow panel a whole page is too small to read: begin as large as the passage's width allows.
  const fitPassage = () => {
    zoom = givenZoom;
    root.style.setProperty("--zoom", zoom);
    if (!passage.length || main.clientWidth >= 640 || new URLSearchParams(location.search).has("z")) return;
    const [left, right] = passageSides();
    zoom = Math.min(2.25, Math.max(1, Math.round((main.clientWidth / (right - left + 24)) * 100) / 100));
  };

  const showMark = () => {
    const mark = byId("mark");
    if (!mark) return;
    mark.scrollIntoView({ block: "center", inline: "center" });
    if (!passage.length) return;
    const [left, right] = passageSides();
    const middle = main.getBoundingClientRect().left + main.clientWidth / 2;
    main.scrollLeft += (left + right) / 2 - middle;
  };

  const follow = (id) => {
    const link = byId(id);
    if (link) link.click();
  };

  byId("zoom-in").addEventListener("click", () => setZoom(zoom * 1.25));
  byId("zoom-out").addEventListener("click", () => setZoom(zoom / 1.25));
  byId("fit").addEventListener("click", () => setZoom(1));

  const number = byId("number");
  if (number) {
    number.addEventListener("change", () => {
      const wanted = Number(number.value);
      if (!(wanted >= 1 && wanted <= Number(number.dataset.count))) {
        number.value = number.defaultValue;
        return;
      }
      const query = new URLSearchParams(number.dataset.query);
      query.set(query.has("part") ? "part" : "page", String(Math.round(wanted)));
      if (zoom !== 1) query.set("z", zoom);
      location.search = `?${query}`;
    });
  }

  addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target === number) return;
    const wide = main.scrollWidth > main.clientWidth + 1;
    if (event.key === "ArrowLeft" && !wide) follow("previous");
    else if (event.key === "ArrowRight" && !wide) follow("next");
    else if (event.key === "+" || event.key === "=") setZoom(zoom * 1.25);
    else if (event.key === "-") setZoom(zoom / 1.25);
    else if (event.key === "0") setZoom(1);
    else return;
    event.preventDefault();
  });

  if (picture) {
    const broken = () => root.classList.add("no-picture");
    picture.addEventListener("error", broken);
    if (picture.complete && picture.naturalWidth === 0) broken();
  }

  if (text) {
    // A drag over the space between words must not jump to the end of the page: that space belongs to `.end` meanwhile.
    text.addEventListener("pointerdown", () => text.classList.add("selecting"));
    addEventListener("pointerup", () => text.classList.remove("selecting"));
  }

  // A frame may get its size only after its document has run, and a panel grows as it slides open: the passage is shown
  // anew for each size, until the reader has taken over.
  const arrange = () => {
    fitWords();
    fitPassage();
    applyZoom();
    showMark();
  };
  const untouched = new AbortController();
  addEventListener("resize", arrange, { signal: untouched.signal });
  addEventListener("resize", sharpen);
  for (const touch of ["pointerdown", "wheel", "keydown"]) {
    addEventListener(touch, () => untouched.abort(), { once: true, passive: true });
  }

  arrange();
  main.focus({ preventScroll: true });
})();
