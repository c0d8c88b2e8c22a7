// A click on a heading of the table of images sorts it; undefined values stay last.
const table = document.getElementById("images"), body = table.tBodies[0];
const key = (row, i) => { const text = row.cells[i].textContent, number = Number(text);
  return text === "\u2013" ? null : text.trim() === "" || i === 0 || Number.isNaN(number) ? text : number; };
const order = (a, b) => a === b ? 0 : a === null ? 1 : b === null ? -1
  : typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
table.tHead.querySelectorAll("th").forEach((head, i) => {
  const button = head.querySelector("button");
  if (button) button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    table.tHead.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].map(row => [key(row, i), row]);
    rows.sort(([a], [b]) => a === null || b === null ? order(a, b) : down ? order(b, a) : order(a, b));
    body.append(...rows.map(([, row]) => row));
  });
});
