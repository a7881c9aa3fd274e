// Tables of what is picked: seeds folded, differences to a row, to be copied into a paper; then the spec's figures.
import { ask, chosen, el, here, line, one, pick, several, wrong } from './parts.js';
import { parallel } from './parallel.js';

/// The offer of the sweep that is picked.
export const offered = app => app.offers.find(offer => offer.sweep === here().picked.get('sweep')) || app.offers[0];

export const sweeps = (app, changed) => app.offers.length > 1
  ? one('Sweep', 'sweep', app.offers.map(offer => offer.sweep), app.offers[0].sweep, changed) : null;

const copy = (label, text) => {
  const button = el('button', { type: 'button' }, label);
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = label; }, 1200);
  });
  return button;
};

export const results = async (root, app) => {
  const [picks, table, fold, figures] = [el('div', { class: 'picks' }), el('section'), el('details', { class: 'fold' }), el('section')];
  root.append(picks, table, fold, figures);
  let found = null;

  /// What the spec's own table of the sweep shows, as far as it is there.
  const own = offer => {
    const there = offer.shown.filter(column => offer.metrics.includes(column));
    return there.length ? there : offer.metrics.slice(0, 3);
  };
  const draw = async () => {
    const offer = offered(app);
    const { picked } = here();
    const columns = chosen('columns', own(offer));
    if (!columns.length) { table.replaceChildren(el('p', {}, offer.metrics.length ? 'Pick a metric.' : 'Nothing of this sweep is measured yet.')); return; }
    const asked = [['spread', picked.get('spread') || 'sd'], ...columns.map(name => ['columns', name]), ...chosen('rows', []).map(axis => ['rows', axis])];
    if (offer.sweep) asked.push(['sweep', offer.sweep]);
    if (picked.get('at')) asked.push(['at', picked.get('at')]);
    if (picked.get('versus')) asked.push(['versus', 'baseline']);
    asked.push(...picked.getAll('reference').map(word => ['reference', word]));
    try {
      found = await ask(`${app.experiment}/results`, asked);
    } catch (error) {
      table.replaceChildren(wrong(error));
      return;
    }
    const box = el('div', { class: 'scroll results' });
    box.innerHTML = found.html;
    const reference = picked.getAll('reference');
    [...box.querySelectorAll('tbody tr')].forEach((row, i) => {
      const words = found.rows[i][0];
      const is = reference.length === words.length && words.every((word, k) => word === reference[k]);
      row.classList.toggle('reference', is);
      row.tabIndex = 0;
      row.title = is ? 'shown as it is again' : 'compare the others with this row';
      const take = () => { pick({ reference: is ? null : words }); draw(); };
      row.addEventListener('click', take);
      row.addEventListener('keydown', event => { if (event.key === 'Enter') take(); });
    });
    sortable(box.querySelector('table'));
    const said = el('ul', { class: 'verdicts' }, found.verdicts.map(one => el('li', {}, one)));
    table.replaceChildren(box, said, el('p', {}, copy('Copy LaTeX', () => found.latex), ' ', copy('Copy Markdown', () => found.markdown), ' ', copy('Copy CSV', () => found.csv),
      el('span', { class: 'took' }, '  A click on a row compares the others with it.')));
    fold.replaceChildren(el('summary', {}, 'Parallel coordinates'), parallel(found, offer));
  };
  const controls = () => {
    const offer = offered(app);
    const again = name => {
      // Another sweep has other axes and metrics.
      if (name === 'sweep') { pick({ rows: null, columns: null, at: null, versus: null, reference: null }); controls(); }
      if (name === 'rows') pick({ reference: null });
      draw();
    };
    const varied = offer.axes.filter(([, values]) => values.length > 1).map(([axis]) => axis);
    picks.replaceChildren(...[sweeps(app, again), several('Rows (none: all that matter)', 'rows', varied, [], again),
      several('Columns', 'columns', [...new Set([...own(offer), ...offer.metrics])], own(offer), again), line('Only where', 'at', 'nfe >= 10', again),
      one('± is', 'spread', [['sd', 's.d. over seeds'], ['sem', 'standard error'], ['ci95', '95 % interval']], 'sd', again),
      one('Differences', 'versus', [['', 'none'], ['baseline', 'to the baseline']], '', again)].filter(Boolean));
  };
  controls();
  await draw();
  const show = list => figures.replaceChildren(el('h2', {}, 'Figures of the spec'), el('div', { class: 'figures' }, list.map(figure => {
    const box = el('figure', {}, el('div', { class: 'scroll' }), el('figcaption', {}, el('strong', {}, figure.name), [figure.partial, ...figure.notes].filter(Boolean).map(note => [el('br'), note])));
    if (figure.svg) box.firstChild.innerHTML = figure.svg; else box.firstChild.textContent = 'Nothing of it is finished yet.';
    return box;
  })));
  const drawFigures = async () => {
    try {
      show(await ask(`${app.experiment}/figures`));
    } catch (error) {
      figures.replaceChildren(wrong(error));
    }
  };
  // The table does not wait for them.
  drawFigures();
  let offeredBefore = offered(app).metrics.join();
  const refresh = async () => {
    const now = offered(app).metrics.join();
    if (now !== offeredBefore) { offeredBefore = now; controls(); }
    await draw();
    await drawFigures();
  };
  return { refresh };
};
