// The player: the preview at first, the original when it is opened.

const preview = $("film").textContent && url(bytes($("film").textContent), data.film.media_type);
let original = null;

function load(source) {
  wanted = position();
  if (source) player.src = source;
  else $("note").textContent = "No preview, for its length: open the original to play it.";
}

function described() {
  if (original) return "The original file, from this device.";
  if (player.videoWidth) return `Preview at ${player.videoWidth} × ${player.videoHeight}.`;
  return sheet ? "Preview: the sound, with still pictures." : "Preview.";
}

player.addEventListener("loadedmetadata", () => {
  const hasPictures = player.videoWidth > 0;
  $("still").hidden = hasPictures || !sheet;
  $("stage").hidden = !hasPictures && !sheet;
  $("full").hidden = $("stage").hidden || !document.fullscreenEnabled;
  $("captions").hidden = $("stage").hidden || !data.captions;
  player.playbackRate = Number($("speed").value);
  arrive();
  $("note").textContent = described();
  show();
});
player.addEventListener("error", () => {
  if (original === null) {
    $("note").textContent = "This browser cannot play the preview: open the original.";
    return;
  }
  original = null;
  load(preview);
  player.addEventListener("loadedmetadata", () => ($("note").textContent = "This browser cannot play that file."), { once: true });
});
player.addEventListener("seeked", arrive);
for (const name of ["timeupdate", "seeking", "seeked", "ended"]) player.addEventListener(name, show);
for (const name of ["play", "pause"]) {
  player.addEventListener(name, () => {
    document.body.classList.toggle("playing", !player.paused);
    $("play").setAttribute("aria-label", player.paused ? "Play" : "Pause");
    follow();
  });
}

function follow() {
  show();
  if (!player.paused) requestAnimationFrame(follow);
}

$("play").addEventListener("click", toggle);
$("stage").addEventListener("click", toggle);
$("mute").addEventListener("click", () => {
  player.muted = !player.muted;
  $("mute").setAttribute("aria-pressed", player.muted);
});
$("speed").addEventListener("change", () => (player.playbackRate = Number($("speed").value)));
$("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen();
});
$("captions").addEventListener("click", () => {
  const track = player.textTracks[0];
  track.mode = track.mode === "showing" ? "hidden" : "showing";
  $("captions").setAttribute("aria-pressed", track.mode === "showing");
});
$("original").addEventListener("change", () => {
  const [file] = $("original").files;
  if (!file) return;
  if (original) URL.revokeObjectURL(original);
  original = URL.createObjectURL(file);
  load(original);
});

const KEYS = {
  " ": toggle,
  k: toggle,
  ArrowLeft: () => seek(position() - 5),
  ArrowRight: () => seek(position() + 5),
  Home: () => seek(0),
  End: () => seek(data.duration),
  c: () => $("captions").hidden || $("captions").click(),
  f: () => $("full").hidden || $("full").click(),
  m: () => $("mute").click(),
};
document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return;
  if (event.key === " " && event.target.closest("button")) return;
  if (["Home", "End"].includes(event.key) && event.target !== timeline) return;
  event.preventDefault();
  action();
});

// Filling in.

if (data.captions) {
  const track = element("track", { kind: "captions", label: "Captions", srclang: data.transcript.language, src: url(data.captions, "text/vtt") });
  player.append(track);
  track.track.mode = "showing";
  $("captions").setAttribute("aria-pressed", "true");
}
const named = (code) => new Intl.DisplayNames(["en"], { type: "language", fallback: "code" }).of(code);
if (data.transcript) {
  const part = $("transcript-part");
  part.hidden = false;
  document.querySelector("main").classList.add("two");
  const { language, spoken } = data.transcript;
  part.querySelector(".count").textContent = named(language) + (spoken === language ? "" : `, from ${named(spoken)}`);
  if (!data.transcript.segments.length) $("transcript").append(element("p", {}, "No speech was found."));
}
if (data.shots.length) {
  $("shots-part").hidden = false;
  $("shots-part").querySelector(".count").textContent = data.shots.length;
}
for (const [name, value] of data.facts) $("facts").append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
$("kind").textContent = data.kind;
timeline.setAttribute("aria-valuemax", data.duration);
$("stage").hidden = !sheet;
$("still").hidden = !sheet;
load(preview);
show();
new ResizeObserver(show).observe(timeline);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
