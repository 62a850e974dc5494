/** One measured value; `budget` is the most it may be. */
export interface Figure {
  readonly services: number;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly budget?: number | undefined;
}

/** Collects figures, and prints each as it comes. */
export class Figures {
  readonly all: Figure[] = [];

  add(services: number, name: string, value: number, unit: string, budget?: number): void {
    const figure: Figure = { services, name, value, unit, budget };
    this.all.push(figure);
    console.log(lineOf(figure));
  }
}

function lineOf({ services, name, value, unit, budget }: Figure): string {
  const verdict = budget === undefined ? '' : `budget ${budget}  ${value <= budget ? 'within' : 'OVER'}`;
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${String(services).padStart(6)}  ${name.padEnd(58)} ${value.toFixed(digits).padStart(8)} ${unit.padEnd(6)} ${verdict}`;
}

/** A row for each figure, a column for each number of Services. */
export function tableOf(figures: readonly Figure[]): string {
  const counts = [...new Set(figures.map(({ services }) => services))].sort((a, b) => a - b);
  const names = [...new Set(figures.map(({ name }) => name))];
  const rows = names.map((name) => {
    const of = figures.filter((figure) => figure.name === name);
    const cells = counts.map((count) => {
      const figure = of.find(({ services }) => services === count);
      if (figure === undefined) return '';
      const isOver = figure.budget !== undefined && figure.value > figure.budget;
      return `${figure.value.toFixed(figure.value < 10 ? 2 : figure.value < 100 ? 1 : 0)}${isOver ? ' !' : ''}`;
    });
    const budget = of.find((figure) => figure.budget !== undefined)?.budget;
    return [name, of[0]?.unit ?? '', ...cells, budget === undefined ? '' : String(budget)];
  });
  const head = ['', 'unit', ...counts.map(String), 'budget'];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? '').length)),
  );
  const print = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [print(head), rule, ...rows.map(print)].join('\n');
}
