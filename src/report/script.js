'use strict';
for (const table of document.querySelectorAll('table')) sortable(table);
// Long tables have a filter: all words must occur in a row.
for (const table of document.querySelectorAll('#tables table')) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 8) continue;
  const input = document.createElement('input');
  Object.assign(input, { type: 'search', placeholder: 'filter rows', autocomplete: 'off' });
  input.setAttribute('aria-label', 'filter rows');
  input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  });
  table.closest('.scroll').before(input);
}
// Filtering of nodes. The filter stands in the address.
const filter = document.getElementById('filter');
const nodes = [...document.querySelectorAll('.node')];
const show = () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const node of nodes) {
    const text = node.dataset.text.toLowerCase();
    node.hidden = !words.every(word => text.includes(word));
    count += !node.hidden;
  }
  document.getElementById('shown').textContent = `${count} of ${nodes.length}`;
};
filter.addEventListener('input', () => {
  history.replaceState(null, '', filter.value ? '#nodes?' + encodeURIComponent(filter.value) : '#nodes');
  show();
});
const asked = location.hash.match(/^#nodes\?(.*)$/);
if (asked) filter.value = decodeURIComponent(asked[1]);
show();
