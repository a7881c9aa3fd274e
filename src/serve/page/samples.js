// Samples: a row for each variant, one noise a column, one slider for all steps, the truth below, spectra under it.
import { ask, el, here, legend, one, pick, plot, scale, unit, wrong } from './parts.js';
import { offered, sweeps } from './results.js';
import { arrange } from './curves.js';

export const samples = async (root, app) => {
  const [picks, told, slider, table, spectra] = [el('div', { class: 'picks' }), el('p', { class: 'took' }), el('div', { class: 'slider' }), el('div', { class: 'scroll' }), el('section')];
  root.append(picks, told, slider, table, spectra);
  let found = null;
  const of = () => {
    const offer = offered(app);
    const nodes = offer.nodes.filter(([, kind]) => kind === 'sample').map(([name]) => name);
    const axes = offer.axes.filter(([, values]) => values.length > 1).map(([axis]) => axis);
    const likely = axes.find(axis => /^(steps?|epochs?|nfe|length)$/.test(axis)) || '';
    const { picked } = here();
    return { offer, nodes, axes, node: picked.get('node') || nodes[0], step: picked.get('step') ?? likely, seed: picked.get('seed') ?? (offer.seeds.length ? String(offer.seeds[0]) : '') };
  };
  const steps = () => [...new Set(found.shelves.map(shelf => shelf.step))].sort((a, b) => Number(a) - Number(b) || a.localeCompare(b));

  /// Shows the step of the slider.
  const show = () => {
    const all = steps();
    const now = all.includes(here().picked.get('now')) ? here().picked.get('now') : all[all.length - 1];
    const count = here().picked.get('count') || '8';
    const [low, high] = found.limits;
    const image = (key, name) => el('img', { src: `/api/${app.experiment}/strip/${key}?${new URLSearchParams({ count, low, high })}`, alt: `samples of ${name}`, loading: 'lazy' });
    const rows = [...new Set(found.shelves.map(shelf => shelf.row.join(', ')))].map(row => {
      const shelf = found.shelves.find(one => one.row.join(', ') === row && one.step === now);
      return el('tr', {}, el('th', { scope: 'row' }, row || 'samples'), el('td', {}, shelf && shelf.is_there ? image(shelf.key, shelf.name) : 'not there yet'));
    });
    if (found.truth) rows.push(el('tr', { class: 'truth' }, el('th', { scope: 'row' }, 'test data'), el('td', {}, image(found.truth, 'test data'))));
    table.replaceChildren(el('table', { class: 'shelves' }, el('tbody', {}, rows)));
    told.textContent = `Each column is of one noise, in every row. Colours from ${low.toPrecision(3)} to ${high.toPrecision(3)} everywhere${found.label ? `: ${found.label}` : ''}.`;
    return now;
  };
  const drawSlider = () => {
    const all = steps();
    if (all.length < 2) { slider.replaceChildren(); return; }
    const word = el('output');
    const input = el('input', { type: 'range', min: 0, max: all.length - 1, step: 1, 'aria-label': of().step });
    const now = here().picked.get('now');
    input.value = all.includes(now) ? all.indexOf(now) : all.length - 1;
    const tell = () => { word.textContent = `${of().step} = ${all[input.value]}`; input.setAttribute('aria-valuetext', word.textContent); };
    input.addEventListener('input', () => { pick({ now: all[input.value] }); tell(); show(); drawSpectra(); });
    tell();
    slider.replaceChildren(input, word);
  };
  const drawSpectra = async () => {
    const { offer, step, seed } = of();
    const measures = offer.nodes.filter(([, kind]) => kind === 'evaluate').map(([name]) => name);
    for (const node of measures) {
      const base = [['sweep', offer.sweep], ['node', node], ['series', 'power_spectrum']];
      const first = await ask(`${app.experiment}/lines`, [...base, ['column', 'mean']]);
      if (!first.lines.length) continue;
      const truth = await ask(`${app.experiment}/lines`, [...base, ['column', 'reference_mean']]);
      const all = steps(), place = first.by.indexOf(step);
      const now = here().picked.get('now') || all[all.length - 1];
      const lines = first.lines.filter(line => (place < 0 || line.group[place] === now) && (seed === '' || String(line.seed) === seed));
      lines.forEach(line => { line.group = line.group.filter((_, i) => i !== place); });
      const names = [...new Set(lines.map(line => line.group.join(', ')))];
      if (truth.lines.length) { lines.push({ ...truth.lines[0], group: ['test data'] }); names.push('test data'); }
      const box = el('div', { class: 'plot' });
      spectra.replaceChildren(el('h2', {}, `Power spectra (${node})`), box, legend(names));
      const { columns, series, bands } = arrange(lines, names, { fold: false, weight: 0 });
      plot(box, { scales: { x: { time: false, ...scale(true) }, y: scale(true) }, series, bands, axes: [{ label: `k [${unit(first.x_unit)}]` }, { label: `P(k) [${unit(first.y_unit)}]`, size: 80 }] }, columns);
      return;
    }
    spectra.replaceChildren();
  };
  const draw = async () => {
    const { offer, node, step, seed } = of();
    if (!node) { table.replaceChildren(el('p', {}, 'This sweep draws no samples.')); return; }
    try {
      found = await ask(`${app.experiment}/samples`, { sweep: offer.sweep, node, step, seed, count: here().picked.get('count') || '8' });
    } catch (error) {
      table.replaceChildren(wrong(error));
      return;
    }
    drawSlider();
    show();
    await drawSpectra();
  };
  const controls = () => {
    const { offer, nodes, axes, node, step, seed } = of();
    const again = name => { if (name === 'sweep') { pick({ node: null, step: null, seed: null, now: null }); controls(); } if (name === 'step') pick({ now: null }); draw(); };
    picks.replaceChildren(...[sweeps(app, again), one('Node', 'node', nodes, node, again), one('Slider', 'step', [['', 'none'], ...axes], step, again),
      offer.seeds.length > 1 ? one('Seed', 'seed', offer.seeds.map(String), seed, again) : null, one('Samples', 'count', ['4', '8', '16', '32'], '8', again)].filter(Boolean));
  };
  controls();
  return { refresh: draw, placed: draw };
};
