// Places what the server sends. The server draws: boxes and pills come as HTML whose names are
// escaped there; this script makes HTML of nothing else.
'use strict';

const $ = id => document.getElementById(id);
const tree = $('tree');
const LENSES = ['pid', 'net', 'mnt', 'user', 'cgroup', 'ipc', 'uts', 'time'];
// A column of pills is split when it is longer, behind so many pills at least.
const COLUMN = 34, COLUMN_LEAST = 18;
// How long a pill that ended stays, and how many do at once.
const FADE = 2600, FADING = 100;

const view = { lens: document.documentElement.dataset.lens, inside: '', at: '' };
const layers = { shared: false, veth: false };
let meta = {}, source = null, heard = 0, quiet = true, fading = 0;
let selected = null, current = null, doomed = null;

/* ---- What is looked at: in the part of the URL that the server never sees. ---- */

function readHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const lens = wanted.get('lens');
  view.lens = LENSES.includes(lens) ? lens : document.documentElement.dataset.lens;
  for (const name of ['inside', 'at']) view[name] = /^\d+$/.test(wanted.get(name) || '') ? wanted.get(name) : '';
}

function look(change) {
  const next = { ...view, ...change };
  const hash = new URLSearchParams();
  if (next.lens !== document.documentElement.dataset.lens) hash.set('lens', next.lens);
  for (const name of ['inside', 'at']) if (next[name]) hash.set(name, next[name]);
  const text = hash.toString();
  if (text === location.hash.slice(1)) return;
  location.hash = text;
}

window.addEventListener('hashchange', () => {
  const before = view.inside;
  readHash();
  // The list is of the host, or of one container.
  if (view.inside !== before) closeLives();
  connect(true);
});

function query(more) {
  return new URLSearchParams({ ...view, ...more }).toString();
}

/* ---- The connection. ---- */

function connect(anew) {
  if (source) source.close();
  if (anew) {
    tree.replaceChildren();
    seconds.clear();
    doomed = null;
    select(null);
    tree.setAttribute('aria-busy', 'true');
  }
  showLens();
  source = new EventSource('events?' + query());
  heard = performance.now();
  source.addEventListener('page', event => { alive(); apply(JSON.parse(event.data)); });
  source.addEventListener('time', event => { alive(); keepTime(JSON.parse(event.data)); });
  source.onerror = () => {
    state('lost', 'reconnecting');
    // A browser tries again by itself unless the server has answered with an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(ask, 1000);
  };
}

// Why there are no events.
async function ask() {
  if (source.readyState !== EventSource.CLOSED) return;
  try {
    const answer = await fetch('./', { method: 'HEAD' });
    if (answer.status === 403) {
      state('lost', 'old link');
      say('The token in this link is old: berth was started anew. Open the URL that it printed.');
      return;
    }
    if (answer.status === 503) state('lost', 'too many pages are open');
  } catch (_) { /* Nobody listens; that may change. */ }
  connect(false);
}

function alive() {
  heard = performance.now();
  if ($('health').dataset.state === 'lost') showHealth();
  say('');
}

// A connection can die without a word.
setInterval(() => {
  if (performance.now() - heard > 16000 && source.readyState === EventSource.OPEN) {
    state('lost', 'reconnecting');
    connect(false);
  }
}, 2000);

function say(text) {
  const over = meta.over || '';
  $('banner').textContent = text || over;
  $('banner').hidden = !(text || over);
}

function state(name, text) {
  $('health').dataset.state = name;
  $('health').querySelector('.says').textContent = text;
}

function showHealth() {
  const health = meta.health;
  if (!health) return;
  const lost = health.lost ? ` · ${health.lost.toLocaleString('en')} lost` : '';
  state(health.is_live ? (health.lost ? 'weak' : 'good') : 'weak', (play ? 'recorded ' : '') + health.source + lost);
  const notes = [`Source: ${health.source}.`, `Lost events: ${health.lost.toLocaleString('en')}.`, ...health.notes];
  $('health').querySelector('ul').replaceChildren(...notes.map(text => {
    const item = document.createElement('li');
    item.textContent = text;
    return item;
  }));
}

/* ---- Fragments. ---- */

const mould = document.createElement('template');
function parse(html) {
  mould.innerHTML = html;
  return mould.content.firstElementChild;
}

const isBox = element => element.classList.contains('box');
const element = (tag, name) => {
  const made = document.createElement(tag);
  made.className = name;
  return made;
};

function apply(delta) {
  quiet = delta.full;
  if (delta.full) {
    const kept = new Set((delta.put || []).map(piece => piece.id));
    for (const old of tree.querySelectorAll('.box, .pill')) if (old.id && !kept.has(old.id)) old.remove();
    tree.removeAttribute('aria-busy');
  }
  const gone = (delta.gone || []).map(([id, how]) => [$(id), how]).filter(([at]) => at);
  for (const [at, how] of gone) if (!isBox(at)) end(at, how);
  for (const piece of delta.put || []) place(piece);
  // Boxes last: what has moved out of them is safe by now.
  for (const [at, how] of gone) if (isBox(at)) end(at, how);
  if (delta.meta) {
    meta = delta.meta;
    showMeta();
  }
  markDoomed();
  showFate();
  if (wanted && delta.full) {
    go(wanted);
    wanted = null;
  }
  if (!current || !current.isConnected) rove(tree.querySelector('.pill'));
  if (layers.shared || layers.veth) drawWires();
  if ($('find').value) searchAgain();
}

function place(piece) {
  let at = $(piece.id);
  if (piece.html !== undefined) {
    const fresh = parse(piece.html);
    if (at) renew(at, fresh);
    else {
      at = fresh;
      dress(at);
    }
    if (piece.id === selected) showDetail();
  }
  if (!at) return;
  const within = piece.in === undefined ? tree : $(piece.in);
  if (!within) return;
  const after = piece.after === undefined ? null : $(piece.after);
  if (piece.in === undefined) {
    if (at.parentNode !== tree) tree.append(at);
  } else if (isBox(at)) {
    if (after) after.after(at);
    else within.querySelector(':scope > .inner').prepend(at);
  } else {
    const rows = within.querySelector(':scope > .rows');
    if (after && rows.contains(after)) after.after(at);
    else {
      if (!rows.firstElementChild) rows.append(newColumn(within));
      const heads = rows.firstElementChild.querySelector(':scope > .heads');
      if (heads) heads.after(at);
      else rows.firstElementChild.prepend(at);
    }
    split(at.parentNode);
  }
}

// A new element gets what only the page knows.
function dress(at) {
  if (isBox(at)) {
    at.querySelector('header').after(element('div', 'rows'), element('div', 'inner'));
    const tools = element('div', 'tools');
    for (const [what, text] of [['inside', 'Stand inside'], ['dies', 'What dies']]) {
      const button = element('button', what);
      button.type = 'button';
      button.dataset.do = what;
      button.textContent = text;
      tools.append(button);
    }
    at.append(tools);
  }
  if (!quiet) {
    at.classList.add('is-new');
    setTimeout(() => at.classList.remove('is-new'), 1800);
  }
}

// Takes over what a fragment says, and keeps what the page knows of it.
function renew(at, fresh) {
  const marks = [...at.classList].filter(name => name.startsWith('is-'));
  const roving = at.getAttribute('tabindex');
  for (const name of at.getAttributeNames()) if (!fresh.hasAttribute(name)) at.removeAttribute(name);
  for (const name of fresh.getAttributeNames()) at.setAttribute(name, fresh.getAttribute(name));
  at.classList.add(...marks);
  if (roving !== null) at.setAttribute('tabindex', roving);
  if (isBox(at)) {
    for (const part of ['header', 'footer']) {
      at.querySelector(':scope > ' + part).replaceWith(fresh.querySelector(':scope > ' + part));
    }
  } else at.replaceChildren(...fresh.childNodes);
}

// Something ended: it says how, and fades.
function end(at, how) {
  if (!at) return;
  if (at.id === selected) ended(how);
  at.removeAttribute('id');
  // In a storm those that nobody can have read go at once.
  const unread = fading >= FADING && at.classList.contains('is-new');
  if (isBox(at) || unread || fading >= 4 * FADING || document.hidden) {
    at.remove();
    return;
  }
  at.classList.remove('is-new');
  at.classList.add('is-over');
  at.tabIndex = -1;
  const words = element('span', how && how !== 'exit 0' ? 'how alarm' : 'how');
  words.textContent = how || 'ended';
  at.querySelector('.name').append(words);
  fading += 1;
  setTimeout(() => {
    fading -= 1;
    const column = at.parentNode;
    at.remove();
    if (column) join(column);
  }, FADE);
}

// Long columns are split where a subtree begins; pills never move between columns otherwise, so
// that a start or an end moves only what is below it in one column.
function split(column) {
  for (let pills = pillsOf(column); pills.length > COLUMN; pills = pillsOf(column)) {
    let best = COLUMN_LEAST;
    for (let at = COLUMN_LEAST; at <= COLUMN; at++) if (depth(pills[at]) <= depth(pills[best])) best = at;
    const next = newColumn(column.closest('.box'));
    next.append(...pills.slice(best));
    column.after(next);
    column = next;
  }
}
// Columns that have become short become one.
function join(column) {
  const next = column.nextElementSibling;
  if (next && pillsOf(column).length + pillsOf(next).length <= COLUMN_LEAST) {
    column.append(...pillsOf(next));
    next.remove();
  }
  if (!pillsOf(column).length) column.remove();
}
const pillsOf = column => [...column.querySelectorAll(':scope > .pill')];

// An empty column; above the cells it says whose PIDs they hold.
function newColumn(box) {
  const column = element('div', 'col');
  if (view.lens !== 'pid' || !(box.dataset.ns || box.id === 'host')) return column;
  const level = Number(box.dataset.level);
  const heads = element('div', 'heads');
  heads.setAttribute('aria-hidden', 'true');
  for (let at = 0; at <= level; at++) {
    const head = element('b', '');
    head.textContent = level === 0 ? 'PID' : at === level ? 'inside' : at === 0 ? (view.inside ? 'here' : 'host') : level === 2 ? 'between' : `level ${at}`;
    heads.append(head);
  }
  column.append(heads);
  return column;
}
const depth = pill => Number(pill.getAttribute('aria-level'));

/* ---- The last ten minutes. ---- */

const seconds = new Map();
let clock = null, chosenAt = null;

function keepTime(time) {
  // A recording was moved to another stretch of time.
  if (clock && clock.stretch !== time.stretch) {
    seconds.clear();
    chosenAt = null;
    $('lives').hidden = true;
  }
  clock = { ...time, heard: performance.now() };
  for (const second of seconds.keys()) if (second < time.now / 1000 - 610) seconds.delete(second);
  time.slots.forEach((slot, n) => seconds.set(time.first + n, slot));
  if (view.at) $('then').querySelector('span').textContent = daytime(Number(view.at));
  drawTime();
  keepPlay(time.play);
}

// Milliseconds since boot as a time of the day.
function daytime(millis) {
  if (!clock || !clock.wall) return '';
  return new Date(clock.wall - clock.now + millis).toLocaleTimeString('en-GB');
}

const SPAN = 600;
function drawTime() {
  const canvas = $('time'), scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!clock || !width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  const end = Math.floor(clock.now / 1000) + 1, step = width / SPAN, middle = Math.round(height * 0.55);
  let most = 4;
  for (const [started, ended] of seconds.values()) most = Math.max(most, started, ended);
  // Single processes are seen beside a storm.
  const tall = (count, room) => count ? Math.max(2, room * Math.log1p(count) / Math.log1p(most)) : 0;
  pen.fillStyle = colour('--line');
  pen.fillRect(0, middle, width, 1);
  pen.font = '10px system-ui, sans-serif';
  for (let ago = 60; ago < SPAN; ago += 60) {
    const x = Math.round(width - ago * step);
    pen.fillStyle = colour('--line');
    pen.fillRect(x, 6, 1, height - 12);
    pen.fillStyle = colour('--soft');
    if (x > 70 && (width > 600 || ago % 180 === 0)) pen.fillText(`${ago / 60} min`, x + 4, height - 5);
  }
  for (const [second, [started, ended]] of seconds) {
    const x = width - (end - second) * step;
    const wide = Math.max(1, step - 0.5);
    pen.fillStyle = colour('--t1');
    const up = tall(started, middle - 4);
    pen.fillRect(x, middle - up, wide, up);
    pen.fillStyle = colour('--t3');
    const down = tall(ended, height - middle - 4);
    pen.fillRect(x, middle + 1, wide, down);
  }
  if (clock.earliest / 1000 > end - SPAN) {
    pen.fillStyle = colour('--ground');
    pen.globalAlpha = 0.6;
    pen.fillRect(0, 0, width - (end - clock.earliest / 1000) * step, height);
    pen.globalAlpha = 1;
  }
  // What the two halves are.
  pen.fillStyle = colour('--soft');
  pen.fillText('started', 8, middle - 6);
  pen.fillText('ended', 8, middle + 13);
  const mark = view.at ? Number(view.at) : chosenAt;
  if (mark !== null) {
    pen.fillStyle = colour('--focus');
    pen.fillRect(width - (end - mark / 1000) * step - 1, 0, 2, height);
  }
}

function timeAt(x) {
  const canvas = $('time');
  const end = (Math.floor(clock.now / 1000) + 1) * 1000;
  return Math.round(end - (canvas.clientWidth - x) / canvas.clientWidth * SPAN * 1000);
}

$('time').addEventListener('pointermove', event => {
  if (!clock) return;
  const second = Math.floor(timeAt(event.offsetX) / 1000);
  const [started, ended] = seconds.get(second) || [0, 0];
  $('moment').textContent = `${daytime(second * 1000)}  ${started} started, ${ended} ended`;
});
$('time').addEventListener('pointerleave', () => { $('moment').textContent = ''; });
$('time').addEventListener('click', event => { if (clock) showLives(timeAt(event.offsetX)); });
$('time').addEventListener('keydown', event => {
  const step = { ArrowLeft: -1000, ArrowRight: 1000, PageUp: -30000, PageDown: 30000 }[event.key];
  if (!clock || !(step || event.key === 'Enter')) return;
  event.preventDefault();
  showLives((chosenAt === null ? clock.now : chosenAt) + (step || 0));
});
new ResizeObserver(drawTime).observe($('time'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawTime);

// Who started or ended around a moment: as much time as a finger covers.
async function showLives(at) {
  chosenAt = Math.min(Math.max(at, clock.earliest), clock.now);
  $('time').setAttribute('aria-valuenow', Math.round((chosenAt - clock.now) / 1000));
  $('time').setAttribute('aria-valuetext', daytime(chosenAt));
  drawTime();
  const around = Math.max(1500, SPAN * 1000 / $('time').clientWidth * 3);
  const from = Math.max(0, Math.round(chosenAt - around)), to = Math.round(chosenAt + around);
  try {
    const answer = await fetch('lives?' + new URLSearchParams({ from, to, inside: view.inside, q: /^\d*$/.test($('find').value.trim()) ? '' : $('find').value.trim() }));
    const html = await answer.text();
    if (!answer.ok) return;
    $('lives').querySelector('.list').innerHTML = html;
    $('lives').querySelector('h2').textContent = `${daytime(from)} to ${daytime(to)}`;
    $('lives').querySelector('.gap').hidden = from >= clock.complete;
    $('lives').hidden = false;
  } catch (_) { /* The connection says so already. */ }
}

function closeLives() {
  $('lives').hidden = true;
  chosenAt = null;
  drawTime();
}
$('lives').querySelector('.close').addEventListener('click', closeLives);
$('lives').querySelector('.back').addEventListener('click', () => look({ at: String(chosenAt) }));
$('lives').addEventListener('click', event => {
  const button = event.target.closest('[data-at]');
  if (!button) return;
  const pill = $(button.dataset.to);
  if (pill && !view.at && button.closest('li.lives')) go(button.dataset.to);
  else {
    wanted = button.dataset.to;
    look({ at: button.dataset.at });
  }
});
$('now').addEventListener('click', () => look({ at: '' }));
let wanted = null;

/* ---- A recording. All who look at it share one playback. ---- */

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];
const MINUTE = 60000;
let play = null, isHeld = false;

function keepPlay(state) {
  $('play').hidden = !state;
  document.body.classList.toggle('replayed', Boolean(state));
  if (!state) return;
  const isFirst = !play;
  play = { ...state, heard: performance.now() };
  if (isFirst) showHealth();
  showPlay();
}

const stands = () => play.paused || play.ended;

// Between two messages it goes on.
function position() {
  const passed = stands() ? 0 : (performance.now() - play.heard) * play.speed;
  return Math.min(play.at + passed, play.to);
}

const length = millis => `${Math.floor(millis / MINUTE)}:${String(Math.floor(millis / 1000) % 60).padStart(2, '0')}`;

function showPlay() {
  const place = $('position'), now = isHeld ? Number(place.value) : position();
  place.min = play.from;
  place.max = play.to;
  if (!isHeld) place.value = now;
  const text = `${length(now - play.from)} of ${length(play.to - play.from)}`;
  place.setAttribute('aria-valuetext', `${daytime(now)}, ${text}`);
  $('played').textContent = `${daytime(now)} · ${text}`;
  $('pause').textContent = stands() ? 'Play' : 'Pause';
  const speeds = [...new Set([...SPEEDS, play.speed])].sort((a, b) => a - b);
  if ($('speed').childElementCount !== speeds.length) {
    $('speed').replaceChildren(...speeds.map(speed => new Option(`${speed}×`, speed)));
  }
  if (document.activeElement !== $('speed')) $('speed').value = play.speed;
}

async function control(change) {
  try {
    const answer = await fetch('play?' + new URLSearchParams(change), { method: 'POST' });
    if (answer.ok) keepPlay(await answer.json());
  } catch (_) { /* The connection says so already. */ }
}

async function pause() {
  if (play.ended) {
    await control({ to: play.from });
    await control({ pause: 0 });
  } else await control({ pause: play.paused ? 0 : 1 });
}
function jump(to) {
  if (view.at) look({ at: '' });
  return control({ to: Math.round(Math.min(Math.max(to, play.from), play.to)) });
}
const faster = times => control({ speed: Math.min(Math.max(play.speed * times, 0.0625), 4096) });

$('pause').addEventListener('click', pause);
$('position').addEventListener('input', () => { isHeld = true; showPlay(); });
$('position').addEventListener('change', () => { isHeld = false; jump(Number($('position').value)); });
$('speed').addEventListener('change', () => control({ speed: $('speed').value }));
setInterval(() => { if (play && !stands()) showPlay(); }, 250);
document.addEventListener('keydown', event => {
  if (!play || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('#find, select')) return;
  const keys = {
    p: pause,
    '<': () => faster(0.5),
    '>': () => faster(2),
    '{': () => jump(position() - MINUTE),
    '}': () => jump(position() + MINUTE),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

/* ---- What is said beside the picture. ---- */

function showMeta() {
  showHealth();
  say('');
  const inside = meta.inside;
  document.body.classList.toggle('within', Boolean(inside));
  const name = inside && inside.name ? inside.name : '';
  document.title = inside ? `inside ${name} · berth map` : 'berth map';
  $('where').hidden = !inside;
  $('where').querySelector('span').textContent = name;
  $('then').hidden = !view.at;
  $('lives').querySelector('.back').textContent = `Show the ${inside ? 'container' : 'host'} at this moment`;
  document.body.classList.toggle('past', Boolean(view.at));
  if (view.at) $('then').querySelector('span').textContent = daytime(Number(view.at));
}

$('out').addEventListener('click', () => look({ inside: '' }));

function showLens() {
  for (const button of $('lens').children) {
    const on = button.dataset.lens === view.lens;
    button.setAttribute('aria-checked', on);
    button.tabIndex = on ? 0 : -1;
  }
}

for (const lens of LENSES) {
  const button = element('button', '');
  button.type = 'button';
  button.dataset.lens = lens;
  button.setAttribute('role', 'radio');
  button.textContent = lens;
  $('lens').append(button);
}
$('lens').addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button) look({ lens: button.dataset.lens });
});
$('lens').addEventListener('keydown', event => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = (LENSES.indexOf(view.lens) + step + LENSES.length) % LENSES.length;
  look({ lens: LENSES[at] });
  $('lens').children[at].focus();
});

/* ---- Light: a process, its parents, and its PID in each box around it. ---- */

let lit = [];
function darken() {
  for (const at of lit) at.classList.remove('is-lit', 'is-parent', 'is-around');
  for (const chip of tree.querySelectorAll('.here')) chip.remove();
  lit = [];
}

function light(pill) {
  darken();
  if (!pill) return;
  const mark = (at, name) => { at.classList.add(name); lit.push(at); };
  mark(pill, 'is-lit');
  const seen = new Set([pill.id]);
  for (let up = $(pill.dataset.up); up && !seen.has(up.id); up = $(up.dataset.up)) {
    seen.add(up.id);
    mark(up, 'is-parent');
  }
  const pids = [...pill.querySelectorAll(':scope > b')];
  for (let box = pill.closest('.box'); box; box = box.parentNode.closest('.box')) {
    mark(box, 'is-around');
    const pid = view.lens === 'pid' ? pids[Number(box.dataset.level)] : null;
    if (!pid) continue;
    const chip = element('output', 'here ' + pid.className);
    chip.textContent = `PID ${pid.textContent} here`;
    box.append(chip);
  }
}

tree.addEventListener('mouseover', event => {
  const pill = event.target.closest('.pill');
  if (pill && !pill.classList.contains('is-lit')) light(pill);
});
tree.addEventListener('mouseleave', () => light(selected ? $(selected) : null));
tree.addEventListener('focusin', event => {
  const pill = event.target.closest('.pill');
  if (pill) {
    rove(pill);
    light(pill);
  }
});

/* ---- Choosing. ---- */

function select(id) {
  const old = selected && $(selected);
  for (const name of ['inside', 'dies']) $(name).hidden = !id;
  if (old) {
    old.classList.remove('is-chosen');
    old.removeAttribute('aria-selected');
  }
  selected = id;
  const pill = id && $(id);
  $('chosen').hidden = !pill;
  $('legend').hidden = Boolean(pill);
  document.body.classList.toggle('has-panel', Boolean(pill));
  if (!pill) {
    darken();
    return;
  }
  pill.classList.add('is-chosen');
  pill.setAttribute('aria-selected', 'true');
  light(pill);
  showFate();
  $('detail').replaceChildren();
  showDetail();
  const nest = nestOf(pill);
  $('inside').hidden = !nest || nest.first !== id || !nest.up;
  $('dies').setAttribute('aria-pressed', 'false');
}

const nestOf = pill => (meta.nests || {})[pill.dataset.in];

function showDetail() {
  const pid = /^p(\d+)$/.exec(selected || '');
  if (pid) showPid(pid[1]);
  else $('detail').textContent = $(selected) ? $(selected).querySelector('.name').textContent : '';
}

async function showPid(pid) {
  const id = selected;
  $('chosen').hidden = false;
  $('legend').hidden = true;
  try {
    const answer = await fetch('process?' + query({ pid }));
    const text = await answer.text();
    if (selected === id && answer.ok) $('detail').innerHTML = text;
  } catch (_) { /* The connection says so already. */ }
}

function ended(how) {
  const words = element('p', 'ended');
  words.textContent = how ? `This process has ended: ${how}.` : 'This process has ended.';
  $('detail').prepend(words);
}

tree.addEventListener('click', event => {
  const tool = event.target.closest('button[data-do]');
  const box = event.target.closest('.box');
  if (tool) {
    if (tool.dataset.do === 'inside') look({ inside: box.dataset.ns });
    else kill(box.dataset.ns || hostNest());
    return;
  }
  const pill = event.target.closest('.pill');
  if (pill && pill.id) {
    pill.focus({ preventScroll: true });
    select(pill.id === selected ? null : pill.id);
  }
});
$('close').addEventListener('click', () => close());
$('inside').addEventListener('click', () => { if (selected && $(selected)) look({ inside: $(selected).dataset.in }); });
$('dies').addEventListener('click', () => { if (selected && $(selected)) killBy($(selected)); });

function close() {
  doomed = null;
  markDoomed();
  const pill = selected && $(selected);
  select(null);
  if (pill) pill.focus({ preventScroll: true });
}

/* ---- What dies with a PID 1. ---- */

const hostNest = () => Object.keys(meta.nests || {}).find(ns => !meta.nests[ns].up);

function killBy(pill) {
  const nest = nestOf(pill);
  if (nest && nest.first === pill.id) {
    kill(pill.dataset.in);
    return;
  }
  doomed = doomed && doomed.pill === pill.id ? null : { pill: pill.id };
  markDoomed();
}

function kill(ns) {
  doomed = doomed && doomed.ns === ns ? null : { ns };
  markDoomed();
}

function markDoomed() {
  for (const at of tree.querySelectorAll('.is-dying')) at.classList.remove('is-dying');
  for (const button of tree.querySelectorAll('.tools .dies')) {
    const box = button.closest('.box');
    button.setAttribute('aria-pressed', Boolean(doomed && doomed.ns && (box.dataset.ns || hostNest()) === doomed.ns));
  }
  $('dies').setAttribute('aria-pressed', Boolean(doomed));
  $('verdict').hidden = !doomed;
  document.body.classList.toggle('dying', Boolean(doomed));
  if (!doomed) return;
  if (doomed.pill) {
    const pill = $(doomed.pill);
    if (pill) pill.classList.add('is-dying');
    verdict('1', ' process: itself. It is not the PID 1 of its namespace; its children go on below the nearest reaper.');
    return;
  }
  const nests = meta.nests || {};
  const victims = victimsOf(doomed.ns);
  for (const pill of victims) pill.classList.add('is-dying');
  const count = countOf(victims);
  const nest = nests[doomed.ns];
  const first = nest && nest.first && $(nest.first);
  const name = nest ? nest.name : '';
  const pid = first ? first.querySelector('b').textContent : '?';
  if (nest && !nest.up && !meta.inside) {
    verdict(String(count), ' processes: PID 1 of the host is everything. The kernel panics when it ends.');
  } else {
    const s = count === 1 ? '' : 'es';
    verdict(String(count), ` process${s} end${count === 1 ? 's' : ''} when PID 1 of ${name} does (${pid} ${meta.inside ? 'here' : 'on the host'}): all of its namespace and of those nested in it.`);
  }
}

// Everything in a PID namespace and in those nested in it.
function victimsOf(ns) {
  const nests = meta.nests || {};
  const falls = new Set();
  for (const inner of Object.keys(nests)) {
    for (let at = inner, n = 0; at && n < 64; at = nests[at] && nests[at].up, n++) if (at === ns) falls.add(inner);
  }
  return [...tree.querySelectorAll('.pill[id]')].filter(pill => falls.has(pill.dataset.in));
}
const countOf = pills => pills.reduce((sum, pill) => sum + Number(pill.dataset.count || 1), 0);

// What the end of the chosen process would bring about, in a sentence.
function showFate() {
  const pill = selected && $(selected), nest = pill && nestOf(pill);
  $('fate').hidden = !nest;
  if (!nest) return;
  const strong = element('strong', '');
  if (nest.first !== selected) {
    strong.textContent = 'nobody else is killed';
    $('fate').replaceChildren('If it ends, ', strong, ': it is not the PID 1 of its namespace.');
    return;
  }
  if (!nest.up && !meta.inside) {
    strong.textContent = 'everything ends';
    $('fate').replaceChildren('If it ends, ', strong, ': it is PID 1 of the host, and the kernel panics.');
    return;
  }
  const others = countOf(victimsOf(pill.dataset.in)) - 1;
  strong.textContent = others === 1 ? '1 other ends with it' : `${others || 'no'} others end with it`;
  $('fate').replaceChildren('If it ends, ', strong, `: it is PID 1 of ${nest.name}.`);
}

function verdict(number, text) {
  const strong = element('strong', '');
  strong.textContent = number;
  $('verdict').replaceChildren(strong, text);
  $('verdict').hidden = false;
}

/* ---- Search. ---- */

let asked = 0, timer = 0, shown = '';
function search() {
  clearTimeout(timer);
  timer = setTimeout(find, 60);
}

// What matches changes with the host; a list that is being walked keeps its place.
let again = 0;
function searchAgain() {
  if (!again) again = setTimeout(() => { again = 0; find(); }, 1000);
}

function list(html) {
  if (html === shown) return;
  const at = $('found').contains(document.activeElement) ? document.activeElement.dataset.pid : null;
  shown = html;
  $('found').innerHTML = html;
  const same = at && $('found').querySelector(`[data-pid="${at}"]`);
  if (at) (same || $('find')).focus();
}

async function find() {
  const text = $('find').value.trim();
  const own = ++asked;
  if (!text) {
    $('found').hidden = true;
    markFound([]);
    return;
  }
  try {
    const answer = await fetch('search?' + query({ q: text }));
    const html = await answer.text();
    if (own !== asked || !answer.ok) return;
    list(html);
    $('found').hidden = document.activeElement !== $('find') && !$('found').contains(document.activeElement);
    markFound([...$('found').querySelectorAll('[data-to]')].map(button => button.dataset.to));
  } catch (_) { /* The connection says so already. */ }
}

function markFound(ids) {
  for (const at of tree.querySelectorAll('.is-found')) at.classList.remove('is-found');
  document.body.classList.toggle('finding', ids.length > 0);
  for (const id of ids) if ($(id)) $(id).classList.add('is-found');
}

$('find').addEventListener('input', search);
$('find').addEventListener('focus', search);
$('find').addEventListener('keydown', event => {
  const first = $('found').querySelector('button');
  if (event.key === 'ArrowDown' && first) { event.preventDefault(); first.focus(); }
  if (event.key === 'Enter' && first) first.click();
});
$('found').addEventListener('keydown', event => {
  const items = [...$('found').querySelectorAll('button')];
  const at = items.indexOf(document.activeElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  (items[next] || $('find')).focus();
});
const pointed = event => { const button = event.target.closest('[data-to]'); if (button) light($(button.dataset.to)); };
$('found').addEventListener('mouseover', pointed);
$('found').addEventListener('focusin', pointed);
$('found').addEventListener('click', event => {
  const button = event.target.closest('[data-to]');
  if (button) go(button.dataset.to, button.dataset.pid);
});
document.addEventListener('click', event => { if (!event.target.closest('.find')) $('found').hidden = true; });

// One of a crowd has no pill of its own: its details are shown all the same.
function go(id, pid) {
  const pill = $(id);
  $('found').hidden = true;
  if (!pill || id === 'kernel') {
    select(null);
    if (pid) {
      showPid(pid);
      $('close').focus();
    }
    return;
  }
  pill.scrollIntoView({ block: 'center', inline: 'center' });
  pill.focus({ preventScroll: true });
  select(id);
}

/* ---- Keys. ---- */

function rove(pill) {
  if (current) current.tabIndex = -1;
  current = pill;
  if (pill) pill.tabIndex = 0;
}

document.addEventListener('keydown', event => {
  if (event.key === '/' && !event.target.closest('input')) {
    event.preventDefault();
    $('find').focus();
    $('find').select();
  } else if (event.key === 'Escape') {
    if (event.target === $('find') || $('found').contains(event.target)) {
      $('find').value = '';
      find();
      if (current) current.focus();
    } else if (doomed || selected) close();
    else if (!$('lives').hidden) closeLives();
    else if (view.at) look({ at: '' });
    else if (view.inside) look({ inside: '' });
  }
});

tree.addEventListener('keydown', event => {
  const pill = event.target.closest('.pill');
  if (!pill || event.ctrlKey || event.metaKey || event.altKey) return;
  const pills = () => [...tree.querySelectorAll('.pill[id]')];
  const go = to => { if (to) { to.focus(); to.scrollIntoView({ block: 'nearest', inline: 'nearest' }); } };
  const nest = nestOf(pill);
  const keys = {
    ArrowDown: () => { const all = pills(); go(all[all.indexOf(pill) + 1]); },
    ArrowUp: () => { const all = pills(); go(all[all.indexOf(pill) - 1]); },
    ArrowLeft: () => go($(pill.dataset.up)),
    ArrowRight: () => go(pills().find(other => other.dataset.up === pill.id)),
    Home: () => go(pills()[0]),
    End: () => go(pills().pop()),
    Enter: () => select(pill.id),
    ' ': () => select(pill.id),
    d: () => { select(pill.id); killBy(pill); },
    i: () => { if (nest && nest.up) look({ inside: pill.dataset.in }); },
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

/* ---- Layers. ---- */

for (const kind of ['shared', 'veth']) {
  $('layer-' + kind).addEventListener('click', event => {
    layers[kind] = !layers[kind];
    event.currentTarget.setAttribute('aria-pressed', layers[kind]);
    document.body.classList.toggle('layer-' + kind, layers[kind]);
    drawWires();
  });
}

let drawing = 0;
function drawWires() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(wires);
}

const SVG = 'http://www.w3.org/2000/svg';
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function wires() {
  const map = $('map'), ground = $('wires');
  const origin = map.getBoundingClientRect();
  const shift = { x: map.scrollLeft - origin.left, y: map.scrollTop - origin.top };
  ground.setAttribute('width', tree.offsetLeft + tree.scrollWidth);
  ground.setAttribute('height', tree.offsetTop + tree.scrollHeight);
  const drawn = [];
  const ends = new Map();
  // Each wire that ends in a box gets a place of its own along the upper border.
  const plug = box => {
    const rect = box.querySelector(':scope > header').getBoundingClientRect();
    const n = ends.get(box) || 0;
    ends.set(box, n + 1);
    return { x: Math.max(rect.left + 60, rect.right - 24 - n * 14) + shift.x, y: box.getBoundingClientRect().top + shift.y };
  };
  for (const wire of (meta.wires || []).filter(wire => layers[wire.kind])) {
    const from = $(wire.from), to = $(wire.to);
    if (!from || !to) continue;
    const group = svg('g', { class: 'wire ' + wire.kind });
    const text = svg('text', {});
    const outer = from.contains(to) ? from : to.contains(from) ? to : null;
    if (outer) {
      // To the box around: a plug that leads out, where a line would cross what is between.
      const at = plug(outer === from ? to : from);
      group.append(svg('path', { d: `M${at.x} ${at.y}v-9` }), svg('circle', { cx: at.x, cy: at.y, r: 4 }));
      text.textContent = `${wire.label} ↑ ${outer.id === 'host' ? 'host' : outer.querySelector('h2').firstChild.textContent}`;
      for (const [name, value] of [['x', at.x - 8], ['y', at.y - 4], ['class', 'out']]) text.setAttribute(name, value);
    } else {
      const a = plug(from), b = plug(to);
      const lift = Math.min(40, 14 + Math.abs(a.x - b.x) / 14);
      const path = `M${a.x} ${a.y} C${a.x} ${a.y - lift} ${b.x} ${b.y - lift} ${b.x} ${b.y}`;
      group.append(svg('path', { d: path }), svg('circle', { cx: a.x, cy: a.y, r: 4 }), svg('circle', { cx: b.x, cy: b.y, r: 4 }));
      text.setAttribute('x', (a.x + b.x) / 2);
      text.setAttribute('y', (a.y + b.y) / 2 - lift * 0.75 - 4);
      text.textContent = wire.label;
    }
    group.append(text);
    drawn.push(group);
  }
  ground.replaceChildren(...drawn);
}
new ResizeObserver(drawWires).observe(tree);

readHash();
connect(true);
