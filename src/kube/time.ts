/** metav1.Time: RFC 3339, UTC, whole seconds. */
export function formatTime(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}
