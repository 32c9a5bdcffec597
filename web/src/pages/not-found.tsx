import { Link } from "react-router";
import { Button } from "../components/ui/button.tsx";
import { useTitle } from "../hooks/use-title.ts";

export default function NotFoundPage() {
  useTitle("Page not found");
  return (
    <div className="mx-auto grid w-full max-w-xl justify-items-start gap-5 px-5 py-24">
      <div aria-hidden className="barrier h-5 w-full rounded-full" />
      <h1 className="text-4xl font-semibold tracking-[-0.035em]">No road beyond this point</h1>
      <p className="text-muted">
        There is no page at this address. The link may be old or mistyped.
      </p>
      <div className="flex gap-2">
        <Button asChild>
          <Link to="/chat">Go to chat</Link>
        </Button>
        <Button variant="outline" asChild>
          <Link to="/">Start page</Link>
        </Button>
      </div>
    </div>
  );
}
