// The folded graph, all nodes to filter, and the page of a node.
import { addressOf, ask, duration, el, here, line, pick, state, svg, wrong } from './parts.js';

/// Rows that are drawn at once: ten thousand make a browser slow.
const drawn = 200;

const curve = told => el('span', {}, svg('svg', { class: 'curve', viewBox: '0 0 100 30', preserveAspectRatio: 'none', role: 'img', 'aria-label': `loss from ${told.first} to ${told.last}` },
  svg('polyline', { points: told.points })), ` ${told.first} → ${told.last}`);

const nodePage = (told, app, show, close) => {
  const d = told.details;
  const entry = (term, value) => value && value.length !== 0 ? [el('dt', {}, term), el('dd', {}, value)] : [];
  const lines = list => list.flatMap((text, i) => i ? [el('br'), text] : [text]);
  const links = list => list.flatMap((node, i) => [i ? el('br') : null, el('a', { href: addressOf(app.experiment, 'graph', new URLSearchParams({ node: node.key })), onclick: event => { event.preventDefault(); show(node.key); } }, node.name), ' ', el('span', { class: 'took' }, node.state)]);
  return el('article', { class: 'node-page', 'aria-label': told.name },
    el('h2', {}, told.name, ' ', el('button', { type: 'button', 'aria-label': 'close', onclick: close }, '×')),
    el('p', {}, state(told.state), ` ${told.kind}`),
    d.log ? el('pre', {}, d.log) : null,
    el('dl', {}, entry('key', el('code', {}, told.key)), entry('folder', told.folder), entry('reads', links(told.inputs)), entry('read by', links(told.users)),
      entry('metrics', lines(d.metrics.map(([name, value]) => `${name} = ${value}`))), d.curve ? entry('loss', curve(d.curve)) : [],
      d.picture ? entry('samples', el('img', { src: d.picture, alt: `samples of ${told.name}` })) : [],
      entry('attempts', lines(d.attempts)), entry('made on', d.made_on), entry('adopted', d.adopted), entry('differs', lines(d.differs)), entry('again', el('code', {}, told.again)),
      el('dt', {}, 'settings'), el('dd', { class: 'settings' }, lines(d.settings.map(([path, value]) => `${path}: ${value}`)))));
};

export const graph = async (root, app) => {
  const [picture, split, list, page] = [el('div', { class: 'scroll', id: 'graph' }), el('div', { class: 'split' }), el('div'), el('div')];
  const [count, body, more] = [el('output'), el('tbody'), el('p')];
  let most = drawn;
  const matching = () => {
    const words = (here().picked.get('filter') || '').toLowerCase().split(/\s+/).filter(Boolean);
    const { names, kinds, keys, states } = app.nodes;
    const found = [];
    for (let i = 0; i < names.length; i++) {
      const text = `${kinds[i]} ${names[i]} ${states[i]} ${keys[i]}`.toLowerCase();
      if (words.every(word => text.includes(word))) found.push(i);
    }
    return found;
  };
  const rows = () => {
    const found = matching();
    const compared = here().picked.getAll('nodes');
    count.textContent = `${found.length} of ${app.nodes.names.length}`;
    body.replaceChildren(...found.slice(0, most).map(i => {
      const key = app.nodes.keys[i];
      const box = el('input', { type: 'checkbox', checked: compared.includes(key), 'aria-label': `compare ${app.nodes.names[i]}` });
      box.addEventListener('change', () => {
        const others = here().picked.getAll('nodes').filter(other => other !== key);
        pick({ nodes: box.checked ? [...others, key] : others });
        tell();
      });
      return el('tr', {}, el('td', {}, state(app.nodes.states[i])), el('td', {}, app.nodes.kinds[i]),
        el('td', {}, el('a', { href: addressOf(app.experiment, 'graph', new URLSearchParams({ node: key })), onclick: event => { event.preventDefault(); show(key); } }, app.nodes.names[i])),
        el('td', {}, duration(app.nodes.seconds[i])), el('td', {}, box));
    }));
    more.replaceChildren(found.length > most ? el('button', { type: 'button', onclick: () => { most += 1000; rows(); } }, `${found.length - most} more`) : '');
  };
  const link = el('a', {}, 'Compare');
  const tell = () => {
    const nodes = here().picked.getAll('nodes');
    link.hidden = nodes.length < 2;
    link.textContent = `Compare ${nodes.length}`;
    link.href = addressOf(app.experiment, 'compare', new URLSearchParams(nodes.map(key => ['nodes', key])));
  };
  const draw = async () => {
    const key = here().picked.get('node');
    split.classList.toggle('alone', !key);
    if (!key) { page.replaceChildren(); return; }
    try {
      page.replaceChildren(nodePage(await ask(`${app.experiment}/node/${key}`), app, show, () => show(null)));
    } catch (error) {
      page.replaceChildren(wrong(error));
    }
  };
  const show = key => { pick({ node: key }); return draw(); };
  const refresh = async () => {
    picture.innerHTML = await ask(`${app.experiment}/graph`);
    await draw();
  };
  list.append(el('div', { class: 'picks' }, line('Filter', 'filter', 'words, such as train failed seed=0', () => { most = drawn; rows(); }), count, link), el('table', { class: 'nodes' }, body), more);
  split.append(list, page);
  root.append(picture, split);
  tell();
  rows();
  await refresh();
  // Nobody loses the row that they are about to click.
  return { news: what => { if (what === 'nodes' && !list.contains(document.activeElement)) rows(); }, refresh };
};
