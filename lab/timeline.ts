/** Draws who held and who answered when, as lines of text. Pure: colour and width are the caller's. */

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface TimelineRow {
  readonly label: string;
  /** When it is on; all the rest of the time it is off. */
  readonly on: readonly Stretch[];
  /** One character each. */
  readonly onGlyph: string;
  readonly offGlyph: string;
  /** Nothing is drawn before this time; default: the view's start. */
  readonly since?: number;
  /** Wraps a run of equal characters, e.g. in colour. */
  readonly paint?: (text: string, isOn: boolean) => string;
}

export interface TimelineMark {
  readonly at: number;
  readonly label: string;
}

export interface Timeline extends Stretch {
  /** Characters for the time axis, labels not counted. */
  readonly width: number;
  readonly rows: readonly TimelineRow[];
  readonly marks: readonly TimelineMark[];
}

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** How much of a column must be on for the column to be drawn so; a short off-time must not vanish. */
const mostly = 0.9;

function columns(row: TimelineRow, view: Timeline): readonly boolean[] {
  const step = (view.to - view.from) / view.width;
  return Array.from({ length: view.width }, (_, index) => {
    const [from, to] = [view.from + index * step, view.from + (index + 1) * step];
    const on = row.on.reduce(
      (sum, each) => sum + Math.max(0, Math.min(to, each.to) - Math.max(from, each.from)),
      0,
    );
    return on >= step * mostly;
  });
}

function drawRow(row: TimelineRow, view: Timeline): string {
  const paint = row.paint ?? ((text: string) => text);
  let line = '';
  let run = '';
  let before: boolean | undefined;
  const all = columns(row, view);
  const blank = Math.ceil((((row.since ?? view.from) - view.from) / (view.to - view.from)) * view.width);
  for (const isOn of all.slice(blank)) {
    if (before !== undefined && isOn !== before) {
      line += paint(run, before);
      run = '';
    }
    run += isOn ? row.onGlyph : row.offGlyph;
    before = isOn;
  }
  return ' '.repeat(blank) + (before === undefined ? line : line + paint(run, before));
}

function drawMarks(view: Timeline): string {
  const line = Array.from({ length: view.width }, () => ' ');
  view.marks.forEach((mark, index) => {
    const column = Math.floor(((mark.at - view.from) / (view.to - view.from)) * view.width);
    line[Math.min(view.width - 1, Math.max(0, column))] = letters[index % letters.length] ?? '?';
  });
  return line.join('').trimEnd();
}

/** Seconds below the axis, about every fifteen characters. */
function drawScale(view: Timeline): string {
  const seconds = (view.to - view.from) / 1000;
  const wanted = (seconds * 15) / view.width;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120].find((each) => each >= wanted) ?? 300;
  let line = '';
  for (let at = 0; at <= seconds; at += step) {
    const column = Math.round((at / seconds) * view.width);
    const text = `${Number(at.toFixed(1))}s`;
    if (column < line.length || column + text.length > view.width) continue;
    line = line.padEnd(column) + text;
  }
  return line;
}

export function drawTimeline(view: Timeline): readonly string[] {
  const margin = Math.max(...view.rows.map((row) => row.label.length)) + 2;
  const indent = ' '.repeat(margin);
  return [
    indent + drawMarks(view),
    ...view.rows.map((row) => row.label.padEnd(margin) + drawRow(row, view)),
    indent + drawScale(view),
    ...view.marks.map(
      (mark, index) =>
        `${indent}${letters[index % letters.length] ?? '?'} ${((mark.at - view.from) / 1000).toFixed(1).padStart(5)} s  ${mark.label}`,
    ),
  ];
}
