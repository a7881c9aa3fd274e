'use strict';
for (const table of document.querySelectorAll('table')) sortable(table);
// Filtering: all words must occur. The filter stands in the address.
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
