// The finished objects of the image, and the images to work through.

function objectsBar(ui) {
  const element = make("div", { class: "ils-objects", role: "group", "aria-label": "Finished objects of this image" });
  let shown = null;
  const update = () => {
    const items = ui.model.get("objects"), colours = ui.model.get("fixed_settings").object_colours;
    if (items === shown) return; // a button with the focus stays
    shown = items;
    element.hidden = !items.length;
    element.replaceChildren(...items.map((item, index) => {
      const name = `${item.class_name} ${index + 1}`;
      const swatch = make("span", { class: "ils-swatch", style: `background:${rgb(colours[index % colours.length])}` });
      return make("span", { class: "ils-chip" }, swatch, name,
        make("span", { class: "ils-faint" }, `${item.clicks} click${item.clicks === 1 ? "" : "s"}`),
        button(ui, "edit", `Correct ${name}`, "Correct this object", () => ui.ask("reopen", item.number)),
        // The second click of a double click may meet the object that has moved up.
        button(ui, "close", `Remove ${name}`, "Remove this object", (event) => event.detail > 1 || ui.ask("remove", item.number)));
    }));
  };
  return { element, update };
}

function filmStrip(ui) {
  const { names } = ui.model.get("fixed_settings");
  const frames = make("div", { class: "ils-frames" });
  const element = make("div", { class: "ils-film", role: "group", "aria-label": "Images" },
    button(ui, "previous", "Previous image", "Previous image (p)", () => ui.ask("next", -1)), frames,
    button(ui, "next", "Next image", "Next image (n)", () => ui.ask("next", 1)));
  element.hidden = names.length < 2;
  if (element.hidden) return { element, update: () => {}, thumbnail: () => {}, close: () => {} };

  const items = new Map(names.map((name) => {
    const picture = make("img", { alt: "", draggable: "false" }), badge = make("span", { class: "ils-badge" });
    const frame = make("button", { type: "button", class: "ils-frame", title: name, "data-name": name,
      onclick: () => ui.ask("choose", name) }, picture, badge, make("span", { class: "ils-frame-name" }, name));
    return [name, { frame, picture, badge }];
  }));
  frames.append(...[...items.values()].map(({ frame }) => frame));
  // Pictures are asked for when they come into sight.
  const watcher = new IntersectionObserver((entries) => {
    const seen = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    seen.forEach((frame) => watcher.unobserve(frame));
    if (seen.length) ui.model.send({ event: "thumbnails", names: seen.map((frame) => frame.dataset.name) });
  }, { root: null, rootMargin: "100px" });
  items.forEach(({ frame }) => watcher.observe(frame));

  let shown = null;
  const update = () => {
    const { name } = ui.model.get("photo_info"), film = ui.model.get("film");
    for (const { name: each, objects } of film) {
      const { frame, badge } = items.get(each);
      badge.textContent = objects ? String(objects) : "";
      badge.hidden = !objects;
      frame.setAttribute("aria-current", String(each === name));
      const about = frame.classList.contains("ils-broken") ? "cannot be read" : `${objects} finished object${objects === 1 ? "" : "s"}`;
      frame.setAttribute("aria-label", `${each}, ${about}`);
    }
    if (name !== shown && items.has(name)) {
      shown = name;
      const { frame } = items.get(name);
      frames.scrollTo({ left: frame.offsetLeft - frames.clientWidth / 2 + frame.clientWidth / 2 }); // scrollIntoView moves the page
    }
  };
  const thumbnail = (name, data) => {
    const item = items.get(name);
    if (!item || item.picture.src) return;
    if (data.byteLength) item.picture.src = URL.createObjectURL(new Blob([bytesOf(data)], { type: "image/jpeg" }));
    else {
      item.frame.classList.add("ils-broken");
      update();
    }
  };
  const close = () => {
    watcher.disconnect();
    items.forEach(({ picture }) => picture.src && URL.revokeObjectURL(picture.src));
  };
  return { element, update, thumbnail, close };
}
