// The timeline: the sound's shape, the cuts, what has been played.

const timeline = $("timeline");
const canvas = $("waveform");

function draw() {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  const colours = getComputedStyle(document.documentElement);
  const paint = (name) => (context.fillStyle = colours.getPropertyValue(name));
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);

  const played = (position() / data.duration) * width;
  const bars = Math.max(Math.floor(width / 3), 1);
  for (const [name, from, to] of [["--accent", 0, played], ["--wave", played, width]]) {
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, height);
    context.clip();
    paint(name);
    for (let bar = 0; bar < bars; bar++) {
      const long = Math.max(level(bar / bars, (bar + 1) / bars) * (height - 10), 2);
      context.fillRect((bar * width) / bars, (height - long) / 2, 2, long);
    }
    context.restore();
  }
  paint("--cut");
  for (const shot of data.shots.slice(1)) context.fillRect((shot.start / data.duration) * width, 0, 1, height);
  paint("--accent");
  context.fillRect(Math.min(Math.max(played - 1, 0), width - 2), 0, 2, height);
}

/** The highest peak (0 to 1) between two shares of the file. */
function level(from, to) {
  const peaks = data.peaks.slice(Math.floor(from * data.peaks.length), Math.ceil(to * data.peaks.length));
  return Math.max(0, ...peaks) / 100;
}

function momentAt(event) {
  const box = timeline.getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * data.duration;
}

function peek(event) {
  const moment = momentAt(event);
  const bubble = $("peek");
  bubble.hidden = false;
  bubble.lastElementChild.textContent = clock(moment);
  if (sheet) picture(bubble.firstElementChild, moment, 160);
  const middle = (moment / data.duration) * timeline.clientWidth - bubble.offsetWidth / 2;
  bubble.style.left = `${Math.min(Math.max(middle, 0), timeline.clientWidth - bubble.offsetWidth)}px`;
}

timeline.addEventListener("pointerdown", (event) => {
  timeline.setPointerCapture(event.pointerId);
  seek(momentAt(event));
});
timeline.addEventListener("pointermove", (event) => {
  peek(event);
  if (timeline.hasPointerCapture(event.pointerId)) seek(momentAt(event));
});
timeline.addEventListener("pointerleave", () => ($("peek").hidden = true));
