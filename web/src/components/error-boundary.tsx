import { Component, type ErrorInfo, type ReactNode } from "react";
import { Mark } from "./logo.tsx";
import { Button } from "./ui/button.tsx";

interface State {
  failed: boolean;
}

/** A bug in one page must not leave a blank screen: say so and offer a way on. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { failed: false };

  static getDerivedStateFromError(): State {
    return { failed: true };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="mx-auto grid min-h-dvh max-w-md content-center gap-5 px-5" role="alert">
        <Mark className="size-10" />
        <div className="grid gap-2">
          <h1 className="text-2xl font-semibold">This page broke</h1>
          <p className="text-muted">
            It is our mistake, not yours. Your drafts are kept. Reload the page; if it breaks again,
            write to us.
          </p>
        </div>
        <div className="flex gap-2">
          <Button onClick={() => location.reload()}>Reload</Button>
          <Button variant="outline" asChild>
            <a href="/">Start page</a>
          </Button>
        </div>
      </main>
    );
  }
}
