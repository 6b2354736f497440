// Runs the SQL box, and keeps the figures fresh. Values become text nodes, never markup.
const form = document.getElementById("query");
const sql = document.getElementById("sql");
const told = document.getElementById("told");
const answer = document.getElementById("answer");
const live = document.getElementById("live");
const button = form.querySelector("button");

const cell = (tag, text, className) => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

const tell = (text, bad) => {
  told.textContent = text;
  told.className = bad ? "bad" : "";
};

const isNumber = (type) => /^(u?int|float|decimal)/.test(type);

function show({ columns, rows }) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const { name, type } of columns) head.append(cell("th", name, isNumber(type) ? "n" : ""));
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((value, i) => {
      if (value === null) return line.append(cell("td", "null", "null"));
      const text = typeof value === "object" ? JSON.stringify(value) : String(value);
      const td = cell("td", text, isNumber(columns[i].type) ? "n" : "");
      td.title = text;
      line.append(td);
    });
  }
  answer.replaceChildren(table);
}

async function run() {
  button.disabled = true;
  tell("running…");
  try {
    const response = await fetch("/api/v1/query", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ sql: sql.value, limit: 1000 }),
    });
    const result = await response.json();
    if (result.columns) show(result);
    else answer.replaceChildren();
    if (result.error) {
      const { message, position } = result.error;
      return tell(position ? `line ${position.line}, column ${position.column}: ${message}` : message, true);
    }
    const cut = result.truncated ? "first " : "";
    tell(`${cut}${result.row_count.toLocaleString()} rows in ${result.elapsed_ms.toLocaleString()} ms`);
  } catch (error) {
    tell(`no answer: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
sql.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

setInterval(async () => {
  if (document.hidden || String(getSelection())) return;
  try {
    const response = await fetch("/live");
    // Rendered and escaped by the server.
    if (response.ok) live.innerHTML = await response.text();
    live.style.opacity = "";
  } catch {
    live.style.opacity = ".5";
  }
}, 2000);
