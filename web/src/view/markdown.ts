/** Render the Markdown of model cards: headings, paragraphs, lists, tables, code, emphasis, links. */
import { h } from "./dom";

export function markdown(text: string): HTMLElement[] {
  const lines = text.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n");
  const found: HTMLElement[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (line.trim() === "") i++;
    else if (heading) {
      // Shift headings down two levels, below those of the page.
      const level = Math.min(heading[1].length + 2, 6) as 3 | 4 | 5 | 6;
      found.push(h(`h${level}`, {}, ...inline(heading[2])));
      i++;
    } else if (line.startsWith("```")) {
      const end = lines.indexOf("```", i + 1);
      const last = end < 0 ? lines.length : end;
      found.push(h("pre", { tabindex: 0 }, h("code", {}, lines.slice(i + 1, last).join("\n"))));
      i = last + 1;
    } else if (line.startsWith("|")) {
      const rows = take((one) => one.startsWith("|"));
      found.push(table(rows));
    } else if (/^\s*[-*]\s+/.test(line)) {
      const items = take((one) => /^\s*[-*]\s+/.test(one) || /^\s{2,}\S/.test(one));
      const joined = items.reduce<string[]>((all, one) => {
        if (/^\s*[-*]\s+/.test(one)) all.push(one.replace(/^\s*[-*]\s+/, ""));
        else all.push(`${all.pop() ?? ""} ${one.trim()}`);
        return all;
      }, []);
      found.push(h("ul", {}, ...joined.map((item) => h("li", {}, ...inline(item)))));
    } else {
      const words = take((one) => one.trim() !== "" && !/^(#{1,6}\s|```|\|)/.test(one));
      found.push(h("p", {}, ...inline(words.join(" "))));
    }

    function take(belongs: (line: string) => boolean): string[] {
      const start = i;
      while (i < lines.length && belongs(lines[i])) i++;
      return lines.slice(start, Math.max(i, start + 1));
    }
  }
  return found;
}

/** The text below one heading. */
export function section(text: string, name: string): string {
  const found = new RegExp(`^#{1,6} ${name}\\s*\\n([\\s\\S]*?)(?=^#|$(?![\\s\\S]))`, "m").exec(text);
  return found?.[1].trim() ?? "";
}

function table(rows: string[]): HTMLElement {
  const cells = rows.map((row) => row.replace(/^\||\|\s*$/g, "").split("|").map((cell) => cell.trim()));
  const isRule = (row: string[]): boolean => row.every((cell) => /^:?-+:?$/.test(cell));
  const [head, ...body] = cells.filter((row) => !isRule(row));
  const hasHead = head.some((cell) => cell !== "");
  return h(
    "div",
    { class: "table-scroll" },
    h(
      "table",
      {},
      hasHead ? h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, ...inline(cell))))) : null,
      h(
        "tbody",
        {},
        ...body.map(([first, ...rest]) =>
          h("tr", {}, h("th", { scope: "row" }, ...inline(first)), ...rest.map((cell) => h("td", {}, ...inline(cell)))),
        ),
      ),
    ),
  );
}

function inline(text: string): (Node | string)[] {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^\]]+\]\([^)\s]+\))/);
  return parts.filter(Boolean).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    const link = /^\[([^\]]+)\]\((https?:[^)]+)\)$/.exec(part);
    if (link) return h("a", { href: link[2], rel: "noreferrer" }, link[1]);
    if (/^\*[^*]+\*$/.test(part)) return h("em", {}, part.slice(1, -1));
    return part;
  });
}
