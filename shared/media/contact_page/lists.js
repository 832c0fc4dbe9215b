// Shots and transcript.

const shotButtons = data.shots.map((shot) => {
  const button = element("button", { type: "button", onclick: () => seek(shot.start) });
  if (sheet) button.append(picture(element("span", { className: "tile" }), (shot.start + shot.end) / 2, 128));
  button.append(element("span", {}, clock(shot.start), " ", element("small", {}, `${(shot.end - shot.start).toFixed(1)} s`)));
  $("shots").append(element("li", {}, button));
  return button;
});

const words = [];

/** A segment's text with each of its words to be clicked; what stands between them stays as it is. */
function spoken(segment) {
  const said = element("span", { className: "said", dir: "auto", lang: data.transcript.language });
  let done = 0;
  for (const [text, start, end] of segment.words) {
    const found = segment.text.indexOf(text, done);
    said.append(found < 0 ? " " : segment.text.slice(done, found));
    if (found >= 0) done = found + text.length;
    const span = element("span", { className: "word" }, text);
    said.append(span);
    words.push({ start, end, span });
  }
  said.append(segment.text.slice(done));
  return said;
}

for (const segment of data.transcript?.segments ?? []) {
  const time = element("button", { type: "button", onclick: () => seek(segment.start) }, clock(segment.start));
  $("transcript").append(element("p", {}, time, spoken(segment)));
}
const wordOf = new Map(words.map((word) => [word.span, word]));
$("transcript").addEventListener("click", (event) => {
  const word = wordOf.get(event.target);
  if (word && getSelection().isCollapsed) seek(word.start);
});

/** Mark one of several, and bring it into view of its own list only, unless somebody is about to choose there. */
function mark(list, items, number, set) {
  if (list.marked === number) return;
  if (list.marked >= 0) set(items[list.marked], false);
  list.marked = number;
  if (number < 0) return;
  set(items[number], true);
  const item = items[number].getBoundingClientRect();
  const view = list.getBoundingClientRect();
  if (list.matches(":hover")) return;
  if (item.top < view.top || item.bottom > view.bottom) list.scrollTop += item.top - view.top - view.height / 3;
  if (item.left < view.left || item.right > view.right) list.scrollLeft += item.left - view.left - 16;
}

const spans = words.map((word) => word.span);

/** Bring all that depends on the position up to date. */
function show() {
  const moment = position();
  timeline.setAttribute("aria-valuenow", moment.toFixed(1));
  timeline.setAttribute("aria-valuetext", `${clock(moment)} of ${clock(data.duration)}`);
  $("clock").textContent = `${clock(moment)} / ${clock(data.duration)}`;
  mark($("shots"), shotButtons, lastStarted(data.shots, moment + 0.001), (button, on) => {
    if (on) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  const last = lastStarted(words, moment + 0.001);
  const isNow = last >= 0 && moment < words[last].end + 0.3;
  mark($("transcript"), spans, isNow ? last : -1, (span, on) => span.classList.toggle("now", on));
  if (!$("still").hidden) showStill();
  draw();
}
