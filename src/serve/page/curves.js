// Curves: a series of many nodes over steps or time, seeds as a band, smoothed if asked.
import { ask, chosen, el, here, legend, one, pick, plot, scale, several, style, tick, unit, wrong } from './parts.js';
import { offered, sweeps } from './results.js';

/// Mean of what came so far, the newer the heavier, without the pull of where it began.
export const smooth = (values, weight) => {
  let [sum, norm] = [0, 0];
  return values.map(value => {
    if (value == null) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + 1 - weight;
    return sum / norm;
  });
};

/// The values of a line at other places, between its ends.
const at = (line, places) => {
  const kept = line.x.map((x, i) => [x, line.y[i]]).filter(([, y]) => y != null);
  let i = 0;
  return places.map(x => {
    if (!kept.length || x < kept[0][0] || x > kept[kept.length - 1][0]) return null;
    while (i + 1 < kept.length && kept[i + 1][0] < x) i += 1;
    const [[a, p], [b, q]] = [kept[i], kept[Math.min(i + 1, kept.length - 1)]];
    return b > a ? p + (q - p) * Math.min(1, Math.max(0, (x - a) / (b - a))) : p;
  });
};

/// Lines by group as what uPlot draws: places, columns, series, bands.
export const arrange = (lines, names, { fold, weight }) => {
  const places = [...new Set(lines.flatMap(line => line.x))].sort((a, b) => a - b);
  const [columns, series, bands] = [[places], [{}], []];
  const add = (column, settings) => { columns.push(column); series.push({ points: { show: places.length < 40 }, spanGaps: true, ...settings }); };
  names.forEach((name, i) => {
    const { colour, dash } = style(i);
    const members = lines.filter(line => line.group.join(', ') === name).map(line => at(line, places));
    if (fold && members.length > 1) {
      const of = f => places.map((_, k) => {
        const seen = members.map(member => member[k]).filter(value => value != null);
        return seen.length ? f(seen) : null;
      });
      const thin = { stroke: colour, width: .3, points: { show: false } };
      add(of(seen => Math.max(...seen)), thin);
      add(of(seen => Math.min(...seen)), thin);
      bands.push({ series: [columns.length - 2, columns.length - 1], fill: colour + '22' });
      add(smooth(of(seen => seen.reduce((a, b) => a + b) / seen.length), weight), { stroke: colour, width: 2, dash });
    } else {
      for (const member of members) {
        if (weight > 0) add(member, { stroke: colour + '44', width: 1, points: { show: false } });
        add(smooth(member, weight), { stroke: colour, width: 1.6, dash });
      }
    }
  });
  return { columns, series, bands };
};

export const curves = async (root, app) => {
  const [picks, told, place, names] = [el('div', { class: 'picks' }), el('p', { class: 'took' }), el('div', { class: 'plot' }), el('div')];
  root.append(picks, told, place, names);
  let known = {};
  const of = () => {
    const offer = offered(app);
    const nodes = offer.nodes.filter(([, kind]) => kind === 'train' || kind === 'evaluate').map(([name]) => name);
    return { offer, nodes, node: here().picked.get('node') || nodes[0] };
  };
  const draw = async () => {
    const { offer, node } = of();
    const { picked } = here();
    if (!node) { told.textContent = 'This sweep trains and evaluates nothing.'; return; }
    const by = chosen('by', []);
    const ask1 = (series, column) => ask(`${app.experiment}/lines`, [['sweep', offer.sweep], ['node', node], ['series', series], ['column', column], ...by.map(axis => ['by', axis])]);
    let found;
    try {
      found = await ask1(picked.get('series') || 'loss', picked.get('column') || 'mean');
      if (!found.lines.length && !picked.get('series') && Object.keys(found.series).length) {
        // A node without losses shows what it has.
        const [series, columns] = Object.entries(found.series)[0];
        pick({ series, column: columns.includes('mean') ? 'mean' : columns[0] });
        found = await ask1(series, here().picked.get('column'));
      }
    } catch (error) {
      told.replaceChildren(wrong(error));
      return;
    }
    if (Object.keys(found.series).join() !== Object.keys(known).join()) { known = found.series; controls(); }
    const hours = picked.get('x') === 'hours';
    if (hours) for (const line of found.lines) {
      const last = line.x[line.x.length - 1] || 1;
      line.x = line.x.map(x => line.seconds / 3600 * x / last);
    }
    const groups = [...new Set(found.lines.map(line => line.group.join(', ')))];
    const live = found.lines.filter(line => line.live).length;
    told.textContent = found.lines.length ? `${found.lines.length} lines${live ? `, ${live} of nodes that are not finished` : ''}${found.left_out ? `; ${found.left_out} more are left out, say what is to be shown` : ''}. ` +
      (picked.get('fold') === 'each' ? 'A line for each seed.' : 'Mean over seeds, shaded from the lowest to the highest.') : 'Nothing of it is there yet.';
    const { columns, series, bands } = arrange(found.lines, groups, { fold: picked.get('fold') !== 'each', weight: Number(picked.get('smooth') || 0) });
    const label = hours ? 'hours of devices (at the mean rate)' : unit(found.x_unit) || 'x';
    plot(place, { scales: { x: { time: false, ...scale(picked.get('logx') === '1') }, y: scale(picked.get('logy') === '1') }, bands, series,
      axes: [{ label }, { label: `${picked.get('series') || 'loss'} ${found.y_unit ? `[${unit(found.y_unit)}]` : ''}`, size: 70 }] }, columns);
    names.replaceChildren(legend(groups.map(group => group || node)));
  };
  const controls = () => {
    const { offer, nodes, node } = of();
    const again = name => {
      if (name === 'sweep' || name === 'node') { pick({ series: null, column: null, ...(name === 'sweep' ? { node: null, by: null } : {}) }); known = {}; controls(); }
      if (name === 'series') { pick({ column: null }); controls(); }
      draw();
    };
    const series = here().picked.get('series') || 'loss';
    const varied = offer.axes.filter(([, values]) => values.length > 1).map(([axis]) => axis);
    const columns = (known[series] || ['mean']);
    const slider = el('input', { type: 'range', min: 0, max: .99, step: .01, value: here().picked.get('smooth') || 0, 'data-name': 'smooth' });
    slider.addEventListener('input', () => { pick({ smooth: Number(slider.value) || null }); draw(); });
    picks.replaceChildren(...[sweeps(app, again), one('Node', 'node', nodes, node, again), one('Series', 'series', Object.keys(known).length ? Object.keys(known) : [series], series, again),
      columns.length > 1 ? one('Column', 'column', columns, 'mean', again) : null, several('By (none: all that matter)', 'by', varied, [], again),
      one('Seeds', 'fold', [['', 'mean and range'], ['each', 'each']], '', again), one('Against', 'x', [['', 'steps'], ['hours', 'hours of devices']], '', again),
      el('label', { class: 'pick' }, 'Smoothing', slider), el('div', {}, tick('log y', 'logy', again), ' ', tick('log x', 'logx', again))].filter(Boolean));
  };
  controls();
  return { refresh: draw, placed: draw, isLive: () => app.counts.running > 0 };
};
