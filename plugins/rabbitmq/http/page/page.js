/* SPDX-License-Identifier: MIT
 * The live page: asks /api/stats each second, and shows what has changed since. It keeps three minutes in
 * memory, and nothing anywhere else but the token in this tab. */
'use strict';

const EVERY_MS = 1000;
const PATIENCE_MS = 4000;    // for one answer
const SPAN = 180;            // seconds that the charts show
const LATENCY_WINDOW_MS = 10000;
const SHARE_WINDOW_MS = 60000;
const ROWS_MAX = 60;
const VERDICTS = ['deliver', 'drop', 'quarantine', 'reject', 'hold', 'replay', 'refuse'];
const WORDS = { deliver: 'delivered', drop: 'dropped', quarantine: 'set aside', reject: 'rejected', hold: 'held',
  replay: 'replayed', refuse: 'refused' };
const AGAIN = ['hold', 'refuse']; // such a copy is decided again: looks, not messages
const REASONS = { duplicate: 'duplicate', conflict: 'conflict', in_doubt: 'in doubt', fenced: 'fenced' };

const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const brief = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

let history = [];   // what was answered, the latest last: {time, verdicts, reasons, latency, figures}
let points = [];    // what the charts show: {time, rates, p50, p99}; a gap has no rates
let latest = null;  // the last answer
let lost = null;    // since when there is none
let paused = false;
let timer = 0;

// --- Figures

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Sums a figure {rule: {word: number}} over the rules.
function byWord(figure) {
  const total = {};
  for (const words of Object.values(figure || {})) {
    for (const [word, number] of Object.entries(words)) {
      total[word] = (total[word] || 0) + number;
    }
  }
  return total;
}

// The buckets of all operations together, as [bound, count up to it], in order.
function bucketsOf(figure) {
  const total = new Map();
  for (const histogram of Object.values(figure || {})) {
    for (const [bound, number] of Object.entries(histogram.buckets)) {
      const at = bound === '+Inf' ? Infinity : Number(bound);
      total.set(at, (total.get(at) || 0) + number);
    }
  }
  return [...total].sort((a, b) => a[0] - b[0]);
}

// The time within which that part of what came between two looks was answered, in seconds; null: none came.
function quantile(now, before, part) {
  const own = now.map(([bound, number], i) => [bound, number - (before[i] ? before[i][1] : 0)]);
  const all = own.length > 0 ? own[own.length - 1][1] : 0;
  if (all <= 0) {
    return null;
  }
  let low = 0;
  let passed = 0;
  for (const [bound, upTo] of own) {
    if (upTo >= part * all) {
      return bound === Infinity ? low : low + (bound - low) * (part * all - passed) / (upTo - passed);
    }
    low = bound;
    passed = upTo;
  }
  return low;
}

function seconds(value) {
  if (value === null || value === undefined) {
    return '–';
  }
  if (value >= 3600) {
    return `${Math.floor(value / 3600)} h ${Math.floor(value % 3600 / 60)} min`;
  }
  if (value >= 60) {
    return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  }
  if (value >= 1) {
    return `${value.toFixed(1)} s`;
  }
  return value >= 0.001 ? `${(value * 1e3).toFixed(value >= 0.01 ? 0 : 1)} ms` : `${(value * 1e6).toFixed(0)} µs`;
}

const noun = (number, one) => (number === 1 ? one : `${one}s`);
// Messages that were decided for good.
const decidedOf = (words) => sum(Object.entries(words).filter(([word]) => !AGAIN.includes(word)).map(([, number]) => number));
const rateText = (rate) => (rate > 0 && rate < 10 ? rate.toFixed(1) : count.format(rate));

// The oldest answer that is not older than that.
const since = (now, ms) => history.find((one) => now.time - one.time <= ms) || now;

function take(stats) {
  const figures = stats.figures;
  const one = {
    time: stats.time_ms,
    started: figures.process_start_time_seconds,
    verdicts: byWord(figures.idem_messages_total),
    reasons: byWord(figures.idem_message_reasons_total),
    rules: figures.idem_messages_total || {},
    buckets: bucketsOf(figures.idem_store_operation_seconds),
  };
  const before = history[history.length - 1];
  if (before && (before.started !== one.started || one.time <= before.time)) {
    history = []; // another process, or another clock: nothing to compare with
    points.push({ time: one.time });
  }
  history.push(one);
  history = history.filter((old) => one.time - old.time <= SHARE_WINDOW_MS + EVERY_MS);
  if (history.length > 1) {
    points.push(pointOf(one, history[history.length - 2]));
  }
  points = points.filter((point) => one.time - point.time <= SPAN * 1000);
}

function pointOf(now, before) {
  const passed = (now.time - before.time) / 1000;
  const rates = {};
  for (const verdict of VERDICTS) {
    rates[verdict] = Math.max(0, (now.verdicts[verdict] || 0) - (before.verdicts[verdict] || 0)) / passed;
  }
  return {
    time: now.time,
    rates,
    p50: quantile(now.buckets, before.buckets, 0.5),
    p99: quantile(now.buckets, before.buckets, 0.99),
  };
}

// --- Drawing

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) {
    made.textContent = text;
  }
  if (className) {
    made.className = className;
  }
  return made;
}

function show(id, text) {
  const at = byId(id);
  if (at.textContent !== text) {
    at.textContent = text;
  }
}

function numberCell(value, bad) {
  return element('td', count.format(value), `number ${value === 0 ? 'zero' : bad ? 'bad' : ''}`.trim());
}

function emptyRow(columns, text) {
  const row = element('tr');
  const cell = element('td', text, 'empty');
  cell.colSpan = columns;
  row.append(cell);
  return row;
}

function drawEnds(stats) {
  const up = { ...stats.figures.idem_connection_up, store: stats.figures.idem_store_up };
  const blocked = stats.figures.idem_connection_blocked || {};
  byId('ends').replaceChildren(...Object.entries(up).map(([name, is]) => {
    const text = is ? (blocked[name] ? `${name}: blocked` : name) : `${name}: down`;
    return element('li', text, is && !blocked[name] ? 'up' : 'down');
  }));
}

function drawTiles(stats) {
  const figures = stats.figures;
  const now = history[history.length - 1];
  const short = since(now, 3 * EVERY_MS);
  const minute = since(now, SHARE_WINDOW_MS);
  const decided = decidedOf(now.verdicts) - decidedOf(short.verdicts);
  const all = decidedOf(now.verdicts) - decidedOf(minute.verdicts);
  const copies = (now.reasons.duplicate || 0) - (minute.reasons.duplicate || 0);
  const flying = Object.entries(figures.idem_in_flight_messages || {}).filter(([, number]) => number > 0);
  const known = figures.idem_source_queue_messages !== undefined;
  show('rate', now === short ? '–' : rateText(decided * 1000 / (now.time - short.time)));
  show('share', all > 0 ? `${(100 * copies / all).toFixed(copies > 0 && copies * 10 < all ? 1 : 0)} %` : '–');
  show('in-flight', count.format(sum(flying.map(([, number]) => number))));
  show('in-flight-states', flying.map(([state, number]) => `${brief.format(number)} ${state}`).join(', ') || 'messages');
  show('oldest', figures.idem_oldest_unacknowledged_seconds > 0
    ? seconds(figures.idem_oldest_unacknowledged_seconds) : 'none');
  show('queue', known ? count.format(figures.idem_source_queue_messages) : '–');
  show('queue-consumers', known ? `${noun(figures.idem_source_queue_messages, 'message')}, ${
    count.format(figures.idem_source_queue_consumers)} ${noun(figures.idem_source_queue_consumers, 'consumer')}` : 'not known');
  show('latency', seconds(quantile(now.buckets, since(now, LATENCY_WINDOW_MS).buckets, 0.99)));
}

// Of a bridge in mode rpc only: others do not have these figures.
function drawRpc(stats) {
  const figures = stats.figures;
  const is = figures.idem_rpc_requests_total !== undefined;
  byId('rpc').hidden = !is;
  if (!is) {
    return;
  }
  const { idem_rpc_answers_total: answers, idem_rpc_replies_total: replies } = figures;
  show('rpc-requests', count.format(figures.idem_rpc_requests_total));
  show('rpc-awaiting', `${count.format((figures.idem_in_flight_messages || {}).awaiting || 0)} waiting`);
  show('rpc-reply', count.format(answers.reply));
  show('rpc-replay', count.format(answers.replay));
  show('rpc-unstored', count.format(replies.failed + replies.too_large));
  show('rpc-stray', count.format(replies.stray));
  show('rpc-unanswerable', count.format(figures.idem_rpc_unanswerable_total));
}

function drawRules(stats) {
  const now = history[history.length - 1];
  const short = since(now, 3 * EVERY_MS);
  const reasons = stats.figures.idem_message_reasons_total || {};
  const rows = Object.entries(now.rules)
    .filter(([name, words]) => name !== '(none)' || sum(Object.values(words)) > 0)
    .map(([name, words]) => {
      const why = reasons[name] || {};
      const made = element('tr');
      const before = decidedOf(short.rules[name] || {});
      const rate = now === short ? 0 : (decidedOf(words) - before) * 1000 / (now.time - short.time);
      const title = element('th', name === '(none)' ? 'no rule matched' : name);
      title.scope = 'row';
      made.append(title, element('td', rateText(rate), `number ${rate > 0 ? '' : 'zero'}`),
        numberCell(words.deliver), numberCell(words.drop), numberCell(why.duplicate), numberCell(why.conflict, true),
        numberCell(why.in_doubt, true), numberCell(why.missing_key, true), numberCell(why.store_failure, true),
        numberCell(words.quarantine + words.reject));
      return made;
    });
  byId('rules').replaceChildren(...(rows.length > 0 ? rows : [emptyRow(10, 'There are no rules: every message passes')]));
}

function when(ms, now) {
  const date = new Date(ms);
  const clock = date.toLocaleTimeString('en-GB');
  return ms <= 0 ? 'not known' : now - ms < 86400000 ? clock : `${date.toLocaleDateString('en-CA')} ${clock}`;
}

function drawSeen(stats) {
  const which = document.querySelector('input[name=which]:checked').value;
  const list = stats.sightings.filter((one) =>
    which === 'all' || (which === 'duplicate') === (one.reason === 'duplicate'));
  const rows = list.slice(0, ROWS_MAX).map((one) => {
    const row = element('tr');
    const what = element('td');
    const key = element('td');
    what.append(element('span', REASONS[one.reason] || one.reason, `tag ${one.reason}`));
    key.append(element('code', one.key));
    row.append(element('td', when(one.last_seen_ms, stats.time_ms)), what, element('td', one.rule),
      element('td', count.format(one.count), 'number'), element('td', when(one.first_seen_ms, stats.time_ms)), key);
    return row;
  });
  const nothing = which === 'others' ? 'No conflict, and no copy in doubt, since the start'
    : 'No duplicate since the start';
  byId('seen').replaceChildren(...(rows.length > 0 ? rows : [emptyRow(6, nothing)]));
}

// --- Charts

const styles = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// From microseconds to seconds: each power of ten is as wide.
const latencyAxis = { type: 'logarithmic', suggestedMin: 1e-4, suggestedMax: 1e-2, beginAtZero: false };
const powerOfTen = (value) => (Math.abs(Math.log10(value) % 1) < 1e-9 ? seconds(value) : null);

function axis(own, format) {
  return {
    beginAtZero: true,
    grid: { color: styles('--line'), drawBorder: false },
    ticks: { color: styles('--quiet'), maxTicksLimit: 6, callback: format },
    ...own,
  };
}

function makeChart(canvas, datasets, y, format) {
  return new Chart(canvas, {
    type: 'line',
    data: { datasets },
    options: {
      animation: false,
      normalized: true,
      parsing: false,
      maintainAspectRatio: false,
      interaction: { mode: 'index', intersect: false },
      elements: { point: { radius: 0, hitRadius: 6 }, line: { borderWidth: 1.5, tension: 0.2 } },
      plugins: {
        legend: { display: false },
        tooltip: {
          filter: (item) => item.parsed.y > 0,
          callbacks: {
            title: (items) => (items.length > 0 ? `${Math.round(-items[0].parsed.x)} s ago` : ''),
            label: (item) => `${item.dataset.label}: ${format(item.parsed.y)}`,
          },
        },
      },
      scales: {
        x: {
          type: 'linear', min: -SPAN, max: 0,
          grid: { display: false, drawBorder: false },
          ticks: { color: styles('--quiet'), stepSize: 60, maxRotation: 0, callback: (at) => (at === 0 ? 'now' : `${at / 60} min`.replace('-', '−')) },
        },
        y,
      },
    },
  });
}

let throughput = null;
let latency = null;

function makeCharts() {
  const line = (key, label, colour, more) => ({
    label, key, data: [], borderColor: styles(colour), backgroundColor: `${styles(colour)}59`, spanGaps: false, ...more,
  });
  const stacked = VERDICTS.filter((verdict) => !AGAIN.includes(verdict))
    .map((verdict, i) => line(verdict, WORDS[verdict], `--${verdict}`, { stack: 'all', fill: i === 0 ? 'origin' : '-1' }));
  const lines = AGAIN.map((verdict) =>
    line(verdict, WORDS[verdict], `--${verdict}`, { stack: verdict, borderDash: [4, 3] }));
  if (throughput) {
    throughput.destroy();
    latency.destroy();
  }
  throughput = makeChart(byId('throughput'), [...stacked, ...lines], axis({ stacked: true }, rateText), rateText);
  latency = makeChart(byId('store'), [line('p50', 'median', '--deliver'), line('p99', '99 of 100', '--drop')],
    axis(latencyAxis, powerOfTen), seconds);
}

function drawCharts(time) {
  const last = points[points.length - 1];
  const at = (point, value) => ({ x: (point.time - time) / 1000, y: typeof value === 'number' ? value : NaN });
  for (const data of throughput.data.datasets) {
    data.data = points.map((point) => at(point, point.rates && point.rates[data.key]));
    data.hidden = !points.some((point) => point.rates && point.rates[data.key] > 0);
  }
  for (const data of latency.data.datasets) {
    data.data = points.map((point) => at(point, point[data.key]));
  }
  throughput.update('none');
  latency.update('none');
  const rates = last && last.rates ? last.rates : {};
  const shown = VERDICTS.filter((verdict, i) => i < 2 || points.some((point) => point.rates && point.rates[verdict] > 0));
  byId('legend').replaceChildren(...shown.map((verdict) => {
    const item = element('li', `${WORDS[verdict]} `, verdict);
    item.append(element('b', rateText(rates[verdict] || 0)));
    return item;
  }));
  byId('throughput-empty').hidden = points.some((point) => point.rates && sum(Object.values(point.rates)) > 0);
  byId('store-empty').hidden = points.some((point) => point.p50 !== null && point.p50 !== undefined);
  byId('throughput').setAttribute('aria-label', `Messages a second, by verdict. Now: ${
    shown.map((verdict) => `${rateText(rates[verdict] || 0)} ${WORDS[verdict]}`).join(', ')}`);
  byId('store').setAttribute('aria-label', `Latency of the store. Now: median ${seconds(last && last.p50)}, 99 of 100 within ${seconds(last && last.p99)}`);
}

// --- What state the page is in

function setState(state, text, notice) {
  document.body.dataset.state = state;
  show('state', text);
  show('notice', notice || '');
  byId('notice').hidden = !notice;
  byId('token-form').hidden = state !== 'locked';
}

function draw(stats) {
  drawEnds(stats);
  drawTiles(stats);
  drawRpc(stats);
  drawRules(stats);
  drawSeen(stats);
  drawCharts(stats.time_ms);
  show('who', `${stats.instance}, from the queue ${stats.queue}`);
  show('version', `Idem ${stats.version}`);
  document.title = `${stats.ready ? '' : '(not ready) '}${stats.instance} – Idem bridge`;
}

function drawState(stats) {
  if (stats.ready) {
    setState('ready', 'Ready');
  } else {
    setState('not-ready', 'Not ready', `Messages cannot go their way. Missing: ${stats.missing.join(', ')}.`);
  }
}

function disconnected(why) {
  lost = lost || new Date();
  const last = latest ? ' What is below is what was known last.' : '';
  setState('disconnected', 'Disconnected',
    `The bridge has not answered since ${lost.toLocaleTimeString('en-GB')}: ${why}. It is asked again every second.${last}`);
  document.title = '(disconnected) Idem bridge';
}

async function ask() {
  const token = sessionStorage.getItem('idem-token');
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch('/api/stats', { headers, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 401) {
    setState('locked', 'Locked', token ? 'That is not the token.' : '');
    sessionStorage.removeItem('idem-token');
    return null;
  }
  if (!answer.ok) {
    throw new Error(`status ${answer.status}`);
  }
  return answer.json();
}

async function turn() {
  clearTimeout(timer);
  try {
    const stats = await ask();
    if (stats) {
      latest = stats;
      lost = null;
      take(stats);
      if (paused) {
        setState('paused', 'Paused');
      } else {
        draw(stats);
        drawState(stats);
      }
      timer = setTimeout(turn, EVERY_MS);
    } // else: the token is asked for, and begins the next turn
  } catch (error) {
    disconnected(error.name === 'TimeoutError' ? 'no answer in time' : error.name === 'TypeError' ? 'no connection' : error.message);
    timer = setTimeout(turn, EVERY_MS);
  }
}

byId('pause').addEventListener('click', () => {
  paused = !paused;
  byId('pause').setAttribute('aria-pressed', String(paused));
  show('pause', paused ? 'Go on' : 'Pause');
  turn();
});
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('idem-token', byId('token').value);
  byId('token').value = '';
  turn();
});
for (const choice of document.querySelectorAll('input[name=which]')) {
  choice.addEventListener('change', () => latest && drawSeen(latest));
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  makeCharts();
  if (latest) {
    drawCharts(latest.time_ms);
  }
});
makeCharts();
turn();
