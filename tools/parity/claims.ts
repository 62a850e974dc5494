import ts from 'typescript';

/** An id, perhaps more of them, and words or a template hole after it. */
const TITLE = /^[A-Z]{2,4}-\d{2,3}[,:]? /;
const ID = /\b[A-Z]{2,4}-\d{2,3}\b/g;

/**
 * The parity ids that a test source claims: those in string and template literals that begin with
 * an id and go on, as titles do. Comments, bare ids and prose inside other strings claim nothing.
 */
export function claimedIds(source: string, fileName: string): readonly string[] {
  const ids = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) {
      if (TITLE.test(node.text)) for (const [id] of node.text.matchAll(ID)) ids.add(id);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(fileName, source, ts.ScriptTarget.ESNext, false));
  return [...ids];
}
