
// Without this script the report is complete; with it, tables and galleries sort, commands copy.
(() => {
  "use strict";

  const valueOf = (cell) => {
    const value = cell.dataset.value;
    return value === undefined ? null : Number(value);
  };

  const cellAt = (row, column) => {
    let end = 0;
    for (const cell of row.cells) {
      end += cell.colSpan;
      if (end > column) return cell;
    }
    return row.cells[0];
  };

  const compare = (one, two, column, sign) => {
    if (one.hasAttribute("data-rest") !== two.hasAttribute("data-rest")) {
      return one.hasAttribute("data-rest") ? 1 : -1;
    }
    const a = cellAt(one, column), b = cellAt(two, column);
    const left = valueOf(a), right = valueOf(b);
    if (left !== null && right !== null) return sign * (left - right);
    if (left !== null) return -1;          // rows without a number stay below
    if (right !== null) return 1;
    if (a.tagName !== "TH") return 0;
    return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  };

  // Column numbers of the heading cells, over both rows of headings.
  const headings = (table) => {
    const rows = table.tHead.rows, found = [];
    if (rows.length === 1) return Array.from(rows[0].cells);
    const below = Array.from(rows[1].cells);
    for (const cell of rows[0].cells) {
      if (cell.scope === "col") found.push(cell);
      else found.push(...below.splice(0, cell.colSpan));
    }
    return found;
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    const original = Array.from(body.rows);
    const heads = headings(table);
    heads.forEach((head, column) => {
      // No <button>: browsers leave it out where a heading is printed again on the next page.
      const button = document.createElement("span");
      button.setAttribute("role", "button");
      button.tabIndex = 0;
      button.append(...head.childNodes);
      button.title = "Sort by this column; a third time restores the order";
      head.append(button);
      button.addEventListener("click", () => {
        // Numbers: the greatest first. Words: in alphabetical order first.
        const first = column === 0 ? "ascending" : "descending";
        const second = column === 0 ? "descending" : "ascending";
        const now = head.getAttribute("aria-sort");
        const next = now === first ? second : now === second ? null : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next === null) { body.append(...original); return; }
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        body.append(...original.slice().sort((a, b) => compare(a, b, column, sign)));
      });
      button.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        button.click();
      });
    });
  }

  for (const gallery of document.querySelectorAll(".gallery[data-keys]")) {
    const list = gallery.querySelector("ul");
    const label = document.createElement("label");
    const select = document.createElement("select");
    label.className = "order";
    label.append("Sorted by ", select);
    gallery.dataset.keys.split("|").forEach((key, number) => select.add(new Option(key, number)));
    gallery.prepend(label);
    select.addEventListener("change", () => {
      const of = (item) => item.getAttribute(`data-key-${select.value}`);
      const items = Array.from(list.children);
      const areNumbers = items.every((item) => of(item) !== "" && !isNaN(of(item)));
      items.sort((a, b) => areNumbers ? of(b) - of(a) : of(a).localeCompare(of(b), "en"));
      list.append(...items);
    });
  }

  for (const line of document.querySelectorAll(".command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command");
    line.append(button);
    button.addEventListener("click", async () => {
      const code = line.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // What is folded on screen stands open on paper.
  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) {
      folded.add(details);
      details.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    folded.clear();
  });
})();
