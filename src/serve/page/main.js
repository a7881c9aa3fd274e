// Which experiment and which screen is shown; what the server tells while it changes.
import { addressOf, ask, el, here, wrong } from './parts.js';
import { run } from './run.js';
import { results } from './results.js';
import { curves } from './curves.js';
import { samples } from './samples.js';
import { graph } from './graph.js';
import { compare } from './compare.js';

const screens = { run: ['Run', run], results: ['Results', results], curves: ['Curves', curves], samples: ['Samples', samples], graph: ['Graph', graph], compare: ['Compare', compare] };
const place = document.getElementById('screen');
const live = document.getElementById('live');

/// What is known of the experiment that is shown.
const app = { experiment: '', nodes: null, boards: [], offers: [] };
let shown = null;
let events = null;
let mounting = 0;

const summary = () => {
  const counts = {};
  for (const word of app.nodes ? app.nodes.states : []) counts[word] = (counts[word] || 0) + 1;
  app.counts = counts;
  const order = ['finished', 'running', 'failed', 'blocked', 'waiting'];
  document.getElementById('summary').textContent = order.filter(word => counts[word]).map(word => `${counts[word]} ${word}`).join(' · ');
};

/// Tells the screen that something changed; what costs the server much is asked for now and then only.
let due = null;
const tell = what => {
  if (shown && shown.news) shown.news(what);
  // What running nodes tell changes while nothing is published.
  const changes = what === 'nodes' || (shown && shown.isLive && shown.isLive());
  if (!changes || !shown || due) return;
  due = setTimeout(async () => {
    due = null;
    // The first node of its kind brings metrics that could not be picked before.
    if (what === 'nodes') app.offers = await ask(`${app.experiment}/offers`).catch(() => app.offers);
    if (shown) shown.refresh();
  }, 2000);
};

const follow = () => {
  if (events) events.close();
  events = new EventSource(`/events/${encodeURIComponent(app.experiment)}?since=${app.nodes.now}`);
  events.onopen = () => { live.textContent = '● live'; live.className = ''; };
  events.onerror = () => { live.textContent = '○ the server does not answer'; live.className = 'lost'; };
  events.addEventListener('nodes', event => {
    for (const [i, word, seconds] of JSON.parse(event.data)) {
      app.nodes.states[i] = word;
      app.nodes.seconds[i] = seconds;
    }
    summary();
    tell('nodes');
  });
  events.addEventListener('boards', event => {
    app.boards = JSON.parse(event.data).filter(board => board.experiment === app.experiment);
    tell('boards');
  });
  events.addEventListener('reload', () => { open(app.experiment).then(mount); });
};

/// Reads what is known of an experiment.
const open = async name => {
  [app.nodes, app.offers] = await Promise.all([ask(`${name}/nodes`), ask(`${name}/offers`)]);
  app.experiment = name;
  app.places = new Map(app.nodes.keys.map((key, i) => [key, i]));
  summary();
  follow();
};

const mount = async () => {
  const turn = ++mounting;
  const { screen } = here();
  const [, make] = screens[screen] || screens.run;
  for (const link of document.querySelectorAll('#screens a')) {
    const is = link.dataset.screen === screen;
    if (is) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
  }
  const root = el('div');
  place.setAttribute('aria-busy', 'true');
  shown = null;
  try {
    const made = await make(root, app);
    if (turn !== mounting) return;
    shown = made;
  } catch (error) {
    root.replaceChildren(wrong(error));
  }
  if (turn === mounting) {
    place.replaceChildren(root);
    if (place.dataset.shown !== screen) window.scrollTo(0, 0);
    // Diagrams need to know how wide their place is.
    if (shown && shown.placed) await shown.placed();
    place.dataset.shown = screen;
    place.removeAttribute('aria-busy');
  }
};

const route = async () => {
  const known = await ask('experiments');
  const { experiment, screen } = here();
  const found = known.find(one => one.name === experiment) || known.find(one => !one.why) || known[0];
  if (!found) { place.replaceChildren(el('p', {}, 'No experiment has run here yet.')); return; }
  if (found.name !== experiment || !screens[screen]) {
    location.replace(addressOf(found.name, screens[screen] ? screen : 'run'));
    return;
  }
  const select = document.getElementById('experiment');
  select.replaceChildren(...known.map(one => el('option', { selected: one.name === found.name }, one.name)));
  document.getElementById('question').textContent = found.question || '';
  document.title = `${found.name}: ${screens[screen][0]}`;
  document.getElementById('screens').replaceChildren(...Object.entries(screens).map(([name, [title]]) =>
    el('a', { href: addressOf(found.name, name), 'data-screen': name }, title)));
  try {
    if (app.experiment !== found.name) await open(found.name);
  } catch (error) {
    place.replaceChildren(wrong(error));
    return;
  }
  await mount();
};

document.getElementById('experiment').addEventListener('change', event => {
  location.hash = addressOf(event.target.value, here().screen);
});
window.addEventListener('hashchange', route);
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const name = Object.keys(screens)[Number(event.key) - 1];
  if (name) location.hash = addressOf(app.experiment, name);
  if (event.key === '/') {
    const filter = place.querySelector('input[type=search]');
    if (filter) { event.preventDefault(); filter.focus(); }
  }
});
route();
