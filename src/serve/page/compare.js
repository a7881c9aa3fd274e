// Nodes side by side: only what differs, then what came out.
import { addressOf, ask, el, here, number, pick, wrong } from './parts.js';

export const compare = async (root, app) => {
  const [picks, place] = [el('div', { class: 'picks' }), el('section')];
  const options = el('datalist', { id: 'all-nodes' });
  const input = el('input', { type: 'search', list: 'all-nodes', placeholder: 'a name, as in the graph', 'aria-label': 'add a node' });
  root.append(picks, place);
  const add = () => {
    const i = app.nodes.names.indexOf(input.value);
    if (i < 0) return;
    input.value = '';
    pick({ nodes: [...new Set([...here().picked.getAll('nodes'), app.nodes.keys[i]])] });
    draw();
  };
  // A list of ten thousand names is of no use: those that fit what was typed.
  const offer = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fit = app.nodes.names.filter(name => words.every(word => name.toLowerCase().includes(word)));
    options.replaceChildren(...fit.slice(0, 50).map(name => el('option', { value: name })));
    add();
  };
  input.addEventListener('input', offer);
  input.addEventListener('change', add);
  picks.append(el('label', { class: 'pick' }, 'Add a node', input), options);
  const row = (name, cells, differs) => el('tr', {}, el('th', { scope: 'row' }, name), cells.map((cell, i) => el('td', { class: differs(i) ? 'differs' : null }, cell)));
  const draw = async () => {
    const keys = here().picked.getAll('nodes');
    if (keys.length < 2) { place.replaceChildren(el('p', {}, 'Pick two nodes or more, here or by their boxes in the ', el('a', { href: addressOf(app.experiment, 'graph') }, 'graph'), '.')); if (!keys.length) return; }
    try {
      const told = await ask(`${app.experiment}/compare`, keys.map(key => ['nodes', key]));
      const drop = key => () => { pick({ nodes: here().picked.getAll('nodes').filter(other => other !== key) }); draw(); };
      const head = el('tr', {}, el('th'), told.nodes.map(node => el('th', { scope: 'col' }, el('a', { href: addressOf(app.experiment, 'graph', new URLSearchParams({ node: node.key })) }, node.name), ' ',
        el('button', { type: 'button', 'aria-label': `without ${node.name}`, onclick: drop(node.key) }, '×'))));
      const settings = Object.entries(told.settings).map(([path, values]) => row(path, values.map(value => value ?? '–'), i => values[i] !== values[0]));
      const metrics = Object.entries(told.metrics).map(([name, values]) => {
        const seen = values.filter(Boolean);
        const better = seen.length ? seen[0].better : 'neither';
        const all = seen.map(one => one.value).filter(Number.isFinite);
        const best = better === 'lower' ? Math.min(...all) : better === 'higher' ? Math.max(...all) : NaN;
        return row(name, values.map(one => one ? `${number(one.value)} ${one.unit}` : '–'), i => values[i] && values[i].value === best && all.length > 1);
      });
      const empty = words => el('tr', {}, el('td', { colspan: told.nodes.length + 1 }, words));
      place.replaceChildren(el('div', { class: 'scroll' }, el('table', { class: 'compare' }, el('thead', {}, head),
        el('tbody', {}, el('tr', {}, el('th', { colspan: told.nodes.length + 1 }, `Settings that differ (${told.alike} are alike)`)), settings.length ? settings : empty('none'),
          el('tr', {}, el('th', { colspan: told.nodes.length + 1 }, 'Metrics')), metrics.length ? metrics : empty('none yet')))));
    } catch (error) {
      place.replaceChildren(wrong(error));
    }
  };
  await draw();
  return { refresh: draw };
};
