const find = (name) => section.querySelector(".neurons ." + name);
const [layer, kind, slider, number, toggle, text, told] = ["layer", "kind", "unit", "number", "expected", "text", "step-told"].map(find);
const STRONGEST = 0.75; // so that the text stays readable on its colour
let state = null, values = null, steps = [], at = -1, trackShown = -1;

const visible = (name) => name.replace(/ /g, "\u00a0").replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5") || "\u2205";
const spoken = (name) => ({ " ": "space", "\n": "newline", "\t": "tab", "": "nothing" })[name] || name;
const guessed = (name) => (name === " " ? "\u2423" : visible(name));
const track = () => data.tracks[state.track];
const place = () => Number(slider.value);
const activation = (step) => {
  const byte = values[place() * steps.length + step];
  return byte === -128 ? NaN : byte / 127;
};

function element(tag, className, content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

function option(value, content) {
  const made = element("option", "", content);
  made.value = value;
  return made;
}

function decode(encoded) {
  const raw = atob(encoded), bytes = new Int8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function guessesOf(step) {
  const expected = track().expected;
  if (!expected) return [];
  return expected.guesses[step].map((guess, rank) => ({
    name: expected.names[guess],
    percent: expected.percent[step][rank],
    came: expected.names[guess] === expected.truth[step],
  }));
}

function writeText() {
  const { names, starts } = track(), made = document.createDocumentFragment();
  const apart = new Set(starts);
  steps = names.map((name, step) => {
    if (apart.has(step)) made.append(element("span", "break apart"));
    const column = element("span", "step");
    column.dataset.step = step;
    column.append(element("b", "", visible(name)));
    for (const guess of guessesOf(step)) {
      const row = element("i", guess.came ? "came" : "", guessed(guess.name));
      row.setAttribute("aria-hidden", "true");
      row.style.background = `color-mix(in srgb, var(--accent) ${Math.round(guess.percent * 0.6)}%, transparent)`;
      column.append(row);
    }
    made.append(column);
    if (name.includes("\n")) made.append(element("span", "break"));
    return column;
  });
  text.replaceChildren(made);
  text.classList.toggle("words", names.some((name) => [...name].length > 1 && !/^<.*>$/.test(name)));
  find("expects").hidden = !track().expected;
  at = -1;
}

function colour() {
  let broken = false;
  steps.forEach((column, step) => {
    const value = activation(step), sign = value < 0 ? "negative" : "positive", isNumber = !Number.isNaN(value);
    const colour = `rgba(var(--${sign}), ${(Math.abs(value) * STRONGEST).toFixed(3)})`;
    column.firstChild.style.background = isNumber ? colour : "";
    column.classList.toggle("no-number", !isNumber);
    broken ||= !isNumber;
  });
  const unit = state.units[place()];
  number.textContent = unit;
  slider.setAttribute("aria-valuetext", `unit ${unit}`);
  find("scale").textContent = `full colour is \u00b1${Number(state.scales[place()].toPrecision(3))}${broken ? "; hatched is no finite number" : ""}`;
  for (const button of section.querySelectorAll("button[data-unit]")) {
    const chosen = data.states[button.dataset.state] === state && Number(button.dataset.unit) === unit;
    button.closest("tr").classList.toggle("chosen", chosen);
    button.setAttribute("aria-pressed", chosen);
  }
  tell();
}

function tell() {
  if (at < 0) {
    told.textContent = "Point at a step, or go through them with the arrow keys.";
    return;
  }
  const now = activation(at);
  const value = Number.isNaN(now) ? "no finite number" : (now * state.scales[place()]).toPrecision(2);
  const guesses = guessesOf(at).map((guess) => `${spoken(guess.name)} ${guess.percent}%`);
  const next = guesses.length ? `; expected: ${guesses.join(", ")}; true: ${spoken(track().expected.truth[at])}` : "";
  told.textContent = `${spoken(track().names[at])}: ${value}${next}`;
}

function goTo(step) {
  if (at >= 0) steps[at].classList.remove("at");
  at = Math.max(0, Math.min(steps.length - 1, step));
  steps[at].classList.add("at");
  tell();
}

function show(chosen, unit) {
  state = chosen;
  values = decode(state.values);
  layer.value = state.layer;
  const kinds = data.states.filter((other) => other.layer === state.layer).map((other) => other.kind);
  kind.replaceChildren(...kinds.map((name) => option(name, name)));
  kind.value = state.kind;
  slider.max = state.units.length - 1;
  slider.value = Math.max(0, state.units.indexOf(unit));
  if (trackShown !== state.track) {
    trackShown = state.track;
    writeText();
  }
  colour();
}

const stateOf = (layerName, kindName) =>
  data.states.find((other) => other.layer === layerName && other.kind === kindName) ||
  data.states.find((other) => other.layer === layerName);
const unitNow = () => state.units[place()];

layer.append(...[...new Set(data.states.map((other) => other.layer))].map((name) => option(name, name)));
layer.addEventListener("change", () => show(stateOf(layer.value, kind.value), unitNow()));
kind.addEventListener("change", () => show(stateOf(layer.value, kind.value), unitNow()));
slider.addEventListener("input", colour);
toggle.addEventListener("change", () => text.classList.toggle("bare", !toggle.checked));
text.addEventListener("pointerover", (event) => {
  const column = event.target.closest(".step");
  if (column) goTo(Number(column.dataset.step));
});
text.addEventListener("keydown", (event) => {
  const aim = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
  if (aim === undefined) return;
  event.preventDefault();
  goTo(aim);
  steps[at].scrollIntoView({ block: "nearest" });
});
for (const button of section.querySelectorAll("button[data-unit]")) {
  button.addEventListener("click", () => show(data.states[button.dataset.state], Number(button.dataset.unit)));
}
const first = section.querySelector("button[data-unit]");
if (first) first.click();
else show(data.states[0], data.states[0].units[0]);
