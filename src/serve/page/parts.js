// What all screens are built of: elements, the state in the address, questions to the server.

export const el = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child != null));
  return element;
};

export const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
};

/// `#/experiment/screen?name=value&…`: what is shown, and what was picked.
export const here = () => {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [experiment = '', screen = ''] = path.split('/').map(decodeURIComponent);
  return { experiment, screen, picked: new URLSearchParams(query || '') };
};

export const addressOf = (experiment, screen, picked) => {
  const query = picked ? picked.toString() : '';
  return `#/${encodeURIComponent(experiment)}/${screen}${query ? '?' + query : ''}`;
};

/// Changes what is picked: a list stands for several values, nothing for none.
export const pick = changes => {
  const { experiment, screen, picked } = here();
  for (const [name, value] of Object.entries(changes)) {
    picked.delete(name);
    for (const one of [value ?? []].flat()) picked.append(name, one);
  }
  history.replaceState(null, '', addressOf(experiment, screen, picked));
};

export const ask = async (path, parameters) => {
  const query = parameters ? '?' + new URLSearchParams(parameters) : '';
  const response = await fetch(`/api/${path}${query}`);
  const isJson = (response.headers.get('content-type') || '').includes('json');
  const answer = isJson ? await response.json() : await response.text();
  if (!response.ok) throw new Error(answer.wrong || answer);
  return answer;
};

export const wrong = error => el('p', { class: 'wrong', role: 'alert' }, error.message);

/// A choice of one.
export const one = (label, name, options, otherwise, changed) => {
  const now = here().picked.get(name) ?? otherwise;
  const option = value => {
    const [word, text] = Array.isArray(value) ? value : [value, value];
    return el('option', { value: word, selected: word === now }, text);
  };
  const select = el('select', { 'data-name': name, onchange: () => { pick({ [name]: select.value }); changed(name); } }, options.map(option));
  return el('label', { class: 'pick' }, label, select);
};

/// A choice of several, in the order in which they are offered.
export const several = (label, name, options, otherwise, changed) => {
  const { picked } = here();
  const now = picked.has(name) ? picked.getAll(name) : otherwise;
  const boxes = options.map(option => el('input', { type: 'checkbox', value: option, checked: now.includes(option) }));
  const change = () => {
    const chosen = boxes.filter(box => box.checked).map(box => box.value);
    // None is a choice, too.
    pick({ [name]: chosen.length ? chosen : '' });
    changed(name);
  };
  boxes.forEach(box => box.addEventListener('change', change));
  return el('fieldset', { class: 'pick', 'data-name': name }, el('legend', {}, label),
    el('div', { class: 'several' }, boxes.map(box => el('label', {}, box, ' ', box.value))));
};

/// A line of text.
export const line = (label, name, placeholder, changed, type = 'search') => {
  const input = el('input', { type, placeholder, value: here().picked.get(name) ?? '', autocomplete: 'off', 'data-name': name });
  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { pick({ [name]: input.value || null }); changed(name); }, 250);
  });
  return el('label', { class: 'pick' }, label, input);
};

export const tick = (label, name, changed) => {
  const input = el('input', { type: 'checkbox', checked: here().picked.get(name) === '1', 'data-name': name });
  input.addEventListener('change', () => { pick({ [name]: input.checked ? '1' : null }); changed(name); });
  return el('label', {}, input, ' ', label);
};

export const chosen = (name, otherwise) => {
  const { picked } = here();
  const all = picked.has(name) ? picked.getAll(name) : otherwise;
  return all.filter(Boolean);
};

export const number = value => {
  if (value == null) return '–';
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return String(value);
  return size >= 1e-3 && size < 1e5 ? value.toPrecision(5) : value.toExponential(4);
};

export const duration = seconds => {
  if (!seconds) return '';
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

export const state = word => el('span', { class: word }, el('span', { class: 'dot', 'aria-hidden': 'true' }), word);

/// Colours that the colour-blind tell apart, and dashes for those who see none.
export const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#7a6a00'];
export const dashes = [[], [6, 4], [2, 3], [9, 3, 2, 3]];
export const style = i => ({ colour: colours[i % colours.length], dash: dashes[Math.floor(i / colours.length) % dashes.length] });

export const legend = names => el('ul', { class: 'legend' }, names.map((name, i) => {
  const { colour, dash } = style(i);
  const stroke = svg('line', { x1: 0, x2: 28, y1: 4, y2: 4, stroke: colour, 'stroke-width': 2, 'stroke-dasharray': dash.join(' ') });
  return el('li', {}, svg('svg', { viewBox: '0 0 28 8', 'aria-hidden': 'true' }, stroke), name);
}));

/// `(Mpc/h)^2` as people write it.
export const unit = text => text.replace(/\^2/g, '²').replace(/\^3/g, '³').replace(/\^-1/g, '⁻¹');

/// A logarithmic scale that ends where the values end.
export const scale = log => log ? { distr: 3, range: (_, low, high) => [low / 1.1, high * 1.1] } : {};

/// A diagram as wide as its place.
export const plot = (place, options, data) => {
  place.replaceChildren();
  const width = () => Math.max(260, place.clientWidth);
  const made = new uPlot({ width: width(), height: Math.min(420, Math.max(240, window.innerHeight * 0.55)), legend: { show: false }, ...options }, data, place);
  const observer = new ResizeObserver(() => made.setSize({ width: width(), height: made.height }));
  observer.observe(place);
  return made;
};
