// Parallel coordinates: an axis for each swept axis and metric; what is brushed away turns grey.
import { number, svg } from './parts.js';

const wide = 1000, high = 320, top = 34, bottom = 26;

export const parallel = (table, offer) => {
  const axes = table.axes.map((name, i) => {
    const order = (offer.axes.find(([axis]) => axis === name) || [name, []])[1];
    const words = [...new Set(table.rows.map(([labels]) => labels[i]))].sort((a, b) => order.indexOf(a) - order.indexOf(b));
    return { name, place: row => words.length > 1 ? words.indexOf(row[0][i]) / (words.length - 1) : .5, ends: [words[0], words[words.length - 1]] };
  });
  table.metrics.forEach(([name], i) => {
    const values = table.rows.map(row => row[1][i]).filter(value => value != null);
    const log = values.length > 0 && values.every(value => value > 0) && Math.max(...values) > 20 * Math.min(...values);
    const scale = log ? Math.log : value => value;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    axes.push({ name: log ? name + ' (log)' : name, place: row => row[1][i] == null ? null : high > low ? (scale(row[1][i]) - scale(low)) / (scale(high) - scale(low)) : .5,
      ends: values.length ? [number(low), number(high)] : ['', ''] });
  });
  const x = i => axes.length > 1 ? 100 + (wide - 200) * i / (axes.length - 1) : wide / 2;
  const y = part => high - bottom - (high - top - bottom) * part;
  const root = svg('svg', { class: 'parallel', viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': 'parallel coordinates of the table' });
  const paths = table.rows.map(row => {
    const points = axes.map((axis, i) => [x(i), axis.place(row)]).filter(([, part]) => part != null);
    const path = svg('path', { d: 'M' + points.map(([px, part]) => `${px.toFixed(1)} ${y(part).toFixed(1)}`).join('L') }, svg('title', {}, row[0].join(', ')));
    root.append(path);
    return path;
  });
  const brushes = axes.map(() => null);
  const mark = () => paths.forEach((path, k) => {
    const inside = axes.every((axis, i) => {
      const part = axis.place(table.rows[k]);
      return !brushes[i] || (part != null && part >= brushes[i][0] && part <= brushes[i][1]);
    });
    path.classList.toggle('out', !inside);
  });
  axes.forEach((axis, i) => {
    const short = axis.name.length > 26 ? '…' + axis.name.slice(-25) : axis.name;
    root.append(svg('line', { x1: x(i), x2: x(i), y1: y(0), y2: y(1) }), svg('text', { x: x(i), y: i % 2 ? 24 : 12 }, short, svg('title', {}, axis.name)),
      svg('text', { x: x(i), y: high - 12 }, axis.ends[0]));
    if (axis.ends[1] !== axis.ends[0]) root.append(svg('text', { x: x(i) + 4, y: y(1) + 10, style: 'text-anchor: start' }, axis.ends[1]));
    const brush = svg('rect', { class: 'brush', x: x(i) - 7, width: 14, height: 0 });
    const handle = svg('rect', { x: x(i) - 14, y: y(1), width: 28, height: y(0) - y(1), fill: 'transparent', style: 'cursor: crosshair' });
    let from = null;
    const part = event => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse()).y;
      return Math.min(1, Math.max(0, (high - bottom - at) / (high - top - bottom)));
    };
    handle.addEventListener('pointerdown', event => { from = part(event); handle.setPointerCapture(event.pointerId); });
    handle.addEventListener('pointermove', event => {
      if (from === null) return;
      const to = part(event);
      brushes[i] = Math.abs(to - from) > .01 ? [Math.min(from, to), Math.max(from, to)] : null;
      const [low, up] = brushes[i] || [0, 0];
      brush.setAttribute('y', y(up));
      brush.setAttribute('height', y(low) - y(up));
      mark();
    });
    handle.addEventListener('pointerup', event => {
      if (Math.abs(part(event) - from) <= .01) { brushes[i] = null; brush.setAttribute('height', 0); mark(); }
      from = null;
    });
    root.append(brush, handle);
  });
  return root;
};
