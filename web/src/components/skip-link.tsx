/** The first stop of the Tab key: past the navigation. */
export function SkipLink() {
  return (
    <a
      href="#main"
      className="fixed top-2 left-2 z-50 -translate-y-20 rounded-lg bg-brand px-4 py-2 text-sm font-medium text-on-brand focus:translate-y-0"
    >
      Skip to content
    </a>
  );
}
