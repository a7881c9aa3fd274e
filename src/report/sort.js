'use strict';
// Each heading of a table becomes a button that sorts by its column.
function sortable(table) {
  const body = table.tBodies[0];
  const number = cell => {
    const found = cell.textContent.replace('−', '-').match(/-?[0-9.]+(?:e[-+]?[0-9]+)?/);
    return found ? parseFloat(found[0]) : NaN;
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement('button');
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener('click', () => {
      const down = heading.getAttribute('aria-sort') === 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const rows = [...body.rows];
      const numeric = rows.some(row => row.cells[column].classList.contains('number'));
      rows.sort((a, b) => {
        const [x, y] = [a.cells[column], b.cells[column]];
        if (!numeric) return x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
        // What is no number goes last, whichever way.
        const [p, q] = [number(x), number(y)];
        if (Number.isNaN(p) || Number.isNaN(q)) return (Number.isNaN(p) - Number.isNaN(q)) * (down ? -1 : 1);
        return p - q;
      });
      if (down) rows.reverse();
      body.append(...rows);
    });
  });
}
