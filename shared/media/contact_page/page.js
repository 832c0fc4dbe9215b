"use strict";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const player = $("player");

/** An element with properties; children are elements or text, and text stays text. */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function url(content, type) {
  return URL.createObjectURL(new Blob([content], { type }));
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Seconds as 1:02:03, or 2:03 in a shorter file. */
function clock(seconds) {
  const whole = Math.floor(seconds + 0.001);
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  return data.duration < 3600 ? `${minutes}:${rest}` : `${Math.floor(whole / 3600)}:${String(minutes).padStart(2, "0")}:${rest}`;
}

/** Index of the last of these that is not after `moment`; -1 before the first. Each is in rising order of `start`. */
function lastStarted(items, moment) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// Where we are: where the film is to go, while it cannot yet, or where it is.

let wanted = 0;

function position() {
  return wanted ?? player.currentTime;
}

function seek(moment) {
  wanted = Math.min(Math.max(moment, 0), data.duration);
  arrive();
  show();
}

/** One seek after the other: Chromium may never end one that is overtaken by another. */
function arrive() {
  if (wanted === null || !player.readyState || player.seeking) return;
  player.currentTime = wanted;
  wanted = null;
}

function toggle() {
  if (!player.paused) player.pause();
  else if (player.src) player.play().catch(() => {});
  else $("original").click();
}

// Pictures: parts of the storyboard's sheet.

const sheet = data.storyboard && url(bytes(data.storyboard.image), "image/jpeg");

/** Show the storyboard's picture of this time on an element, so many pixels wide. */
function picture(target, moment, width) {
  const { columns, tiles, tile_width, tile_height } = data.storyboard;
  const number = Math.max(lastStarted(tiles, moment), 0);
  const height = Math.floor((width * tile_height) / tile_width);
  Object.assign(target.style, {
    width: `${width}px`,
    height: `${height}px`,
    backgroundImage: `url(${sheet})`,
    backgroundSize: `${columns * width}px auto`,
    backgroundPosition: `${-(number % columns) * width}px ${-Math.floor(number / columns) * height}px`,
  });
  return target;
}

/** The picture of a film that has none of its own here, as large as fits. */
function showStill() {
  const { tile_width, tile_height } = data.storyboard;
  const width = Math.min($("stage").clientWidth, (innerHeight * 0.68 * tile_width) / tile_height);
  picture($("still"), position(), Math.round(width));
}
