// The run: how far it is, what runs, failures first, who worked where and when.
import { addressOf, ask, duration, el, number, svg, wrong } from './parts.js';

const order = ['finished', 'running', 'failed', 'blocked', 'waiting'];

const bars = app => {
  const kinds = new Map();
  app.nodes.kinds.forEach((kind, i) => {
    const counts = kinds.get(kind) || {};
    counts[app.nodes.states[i]] = (counts[app.nodes.states[i]] || 0) + 1;
    kinds.set(kind, counts);
  });
  const row = (kind, counts) => {
    const all = order.reduce((sum, word) => sum + (counts[word] || 0), 0);
    const told = order.filter(word => counts[word]).map(word => `${counts[word]} ${word}`).join(', ');
    const parts = order.map(word => el('span', { class: word, style: `width:${100 * (counts[word] || 0) / all}%` }));
    return el('tr', {}, el('td', {}, kind), el('td', { style: 'width:60%' }, el('div', { class: 'bar', role: 'img', 'aria-label': told }, parts)), el('td', {}, told));
  };
  return el('table', { class: 'slots' }, el('tbody', {}, row('all', app.counts), [...kinds].map(([kind, counts]) => row(kind, counts))));
};

const spark = losses => {
  const seen = losses.filter(Number.isFinite);
  if (seen.length < 3) return null;
  const values = seen.every(loss => loss > 0) ? seen.map(Math.log) : seen;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const points = values.map((v, i) => `${(100 * i / (values.length - 1)).toFixed(1)},${(19 - 18 * (v - low) / (high - low || 1)).toFixed(1)}`);
  return svg('svg', { class: 'spark', viewBox: '0 0 100 20', preserveAspectRatio: 'none', role: 'img', 'aria-label': `loss ${number(seen[seen.length - 1])}` },
    svg('polyline', { points: points.join(' ') }));
};

const rate = slot => {
  const [first, last] = [slot.marks[0], slot.marks[slot.marks.length - 1]];
  const value = first && last && last[0] > first[0] ? (last[1] - first[1]) / (last[0] - first[0]) : null;
  return value ? `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}/s` : '';
};

const board = one => {
  const left = one.left ? `, about ${duration(one.left[1])} left (${duration(one.left[0])} to ${duration(one.left[2])})` : '';
  const slots = Object.values(one.slots).map(slot => el('tr', {},
    el('td', {}, slot.slot), el('td', {}, slot.name),
    el('td', {}, el('progress', { max: slot.total || 1, value: slot.step, 'aria-label': `${slot.step} of ${slot.total}` }), ` ${slot.step}/${slot.total}`),
    el('td', {}, rate(slot)),
    el('td', {}, spark(slot.losses), slot.losses.length ? ' ' + number(slot.losses[slot.losses.length - 1]) : ''),
    el('td', {}, slot.slow ? `${slot.slow[0].toFixed(1)} × as long as expected: ${slot.slow[1]}` : '')));
  return [el('h2', {}, `Running for ${duration(one.now) || '0 s'}${left}`),
    el('div', { class: 'scroll' }, el('table', { class: 'slots now' }, el('tbody', {}, slots))),
    el('details', {}, el('summary', {}, 'What the run said last'), el('pre', { class: 'said' }, one.said.slice(-60).map(([, text]) => text).join('\n')))];
};

const failures = list => list.length ? [el('h2', {}, 'Failures'), list.map(failure => el('details', { class: 'failure', open: true },
  el('summary', {}, el('strong', {}, failure.name), failure.others ? ` and ${failure.others} more alike ` : ' ', el('span', { class: 'class' }, failure.class), ' ', failure.message),
  el('p', {}, `${failure.attempts}; the next `, el('code', {}, 'ablate run'), ' tries again.'),
  failure.log ? el('pre', {}, failure.log) : null))] : [];

/// A lane for each device; where several nodes share one, as many as are needed. Beginnings are known to the second.
const lanes = (attempts, experiment) => {
  const spans = attempts.map(one => ({ ...one, from: Date.parse(one.started) / 1000, to: Date.parse(one.started) / 1000 + one.seconds })).reverse();
  if (!spans.length) return [];
  const [start, end] = [Math.min(...spans.map(one => one.from)), Math.max(...spans.map(one => one.to))];
  const places = new Map();
  for (const one of spans) {
    const rows = places.get(one.place) || [];
    places.set(one.place, rows);
    let row = rows.findIndex(until => until <= one.from + 1);
    if (row < 0) row = rows.push(0) - 1;
    rows[row] = one.to;
    one.row = row;
  }
  const wide = 1000, left = 150, each = 14;
  let top = 4;
  const drawn = svg('svg', { class: 'lanes', role: 'img', 'aria-label': 'attempts by device and time' });
  for (const [place, rows] of places) {
    drawn.append(svg('text', { x: 0, y: top + 11 }, place.length > 24 ? place.slice(0, 23) + '…' : place));
    for (const one of spans.filter(span => span.place === place)) {
      const x = left + (wide - left) * (one.from - start) / (end - start || 1);
      const width = Math.max(.7, (wide - left) * (one.to - one.from) / (end - start || 1));
      const word = one.outcome === 'done' ? 'finished' : one.outcome === 'failed' ? 'failed' : 'waiting';
      const link = svg('a', { href: addressOf(experiment, 'graph', new URLSearchParams({ node: one.key })) },
        svg('rect', { class: word, x, y: top + one.row * each, width, height: each - 2 }, svg('title', {}, `${one.name}: ${one.outcome} after ${duration(one.seconds)}`)));
      drawn.append(link);
    }
    top += rows.length * each + 4;
  }
  drawn.append(svg('line', { class: 'axis', x1: left, x2: wide, y1: top, y2: top }));
  for (const part of [0, .25, .5, .75, 1]) {
    const x = left + (wide - left) * part;
    const anchor = part === 0 ? 'start' : part === 1 ? 'end' : 'middle';
    drawn.append(svg('text', { x, y: top + 14, 'text-anchor': anchor }, new Date(1000 * (start + part * (end - start))).toISOString().slice(5, 19).replace('T', ' ')));
  }
  drawn.setAttribute('viewBox', `0 0 ${wide} ${top + 20}`);
  return [el('h2', {}, 'Devices'), el('p', { class: 'took' }, `${attempts.length} attempts, the newest; times in UTC`), el('div', { class: 'scroll' }, drawn)];
};

const costs = (list, all) => {
  const table = el('table', {}, el('thead', {}, el('tr', {}, ['kind', 'attempts', 'time of devices', 'of it failed', 'share'].map(word => el('th', { scope: 'col' }, word)))),
    el('tbody', {}, list.map(cost => el('tr', {}, el('td', {}, cost.kind), [cost.attempts, cost.spent, cost.failed, `${cost.share} %`].map(word => el('td', { class: 'number' }, String(word)))))));
  sortable(table);
  return [el('h2', {}, 'Cost'), el('p', {}, all + '.'), el('div', { class: 'scroll' }, table)];
};

export const run = async (root, app) => {
  const [bad, counts, boards, rest] = [el('section'), el('section'), el('section'), el('section')];
  root.append(bad, counts, boards, rest);
  const news = () => {
    counts.replaceChildren(el('h2', {}, 'Nodes'), bars(app));
    const open = boards.querySelector('details[open]') !== null;
    boards.replaceChildren(...app.boards.flatMap(board).flat());
    if (open) boards.querySelectorAll('details').forEach(one => { one.open = true; });
  };
  const refresh = async () => {
    try {
      const told = await ask(`${app.experiment}/run`);
      bad.replaceChildren(...failures(told.failures).flat());
      rest.replaceChildren(...[lanes(told.lanes, app.experiment), costs(told.costs, told.cost)].flat(3));
    } catch (error) {
      rest.replaceChildren(wrong(error));
    }
  };
  news();
  await refresh();
  return { news, refresh };
};
