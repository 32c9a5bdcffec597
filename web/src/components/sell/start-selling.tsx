import { type FormEvent, useMemo, useState } from "react";
import { useOnboarding } from "../../hooks/use-seller.ts";
import { countries, likelyCountry } from "../../lib/countries.ts";
import { ErrorNotice } from "../notice.tsx";
import { Button } from "../ui/button.tsx";
import { TextField } from "../ui/field.tsx";
import { SelectField } from "../ui/select.tsx";

const STEPS = [
  {
    title: "Introduce yourself to Stripe",
    text: "They ask who you are and where your money goes. We never see that.",
  },
  {
    title: "Publish an agent",
    text:
      "A title, a price, once or by the month. Buyers get its instructions as you publish them.",
  },
  {
    title: "Be paid for each sale",
    text: "Your share lies at Stripe with the payment, and goes to your bank from there.",
  },
];

/** How selling works, and the first step of it. */
export function StartSelling() {
  const options = useMemo(
    () => countries().map(({ code, name }) => ({ value: code, label: name })),
    [],
  );
  const [name, setName] = useState("");
  const [country, setCountry] = useState(() => likelyCountry(navigator.languages));
  const [problem, setProblem] = useState<string | null>(null);
  const onboarding = useOnboarding();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const displayName = name.trim();
    setProblem(displayName ? null : "Choose the name that buyers see.");
    if (displayName) onboarding.mutate({ displayName, country });
  };
  return (
    <>
      <ol className="grid gap-x-8 gap-y-5 border-t border-line pt-6 sm:grid-cols-3">
        {STEPS.map(({ title, text }, index) => (
          <li key={title} className="grid content-start gap-1">
            <span
              aria-hidden
              className="mb-1 grid size-8 place-items-center rounded-lg bg-brand-soft text-sm font-semibold text-brand-text tabular-nums"
            >
              {index + 1}
            </span>
            <h2 className="font-semibold">{title}</h2>
            <p className="text-sm text-muted">{text}</p>
          </li>
        ))}
      </ol>
      <form
        noValidate
        onSubmit={submit}
        aria-label="Become a creator"
        className="grid gap-5 rounded-2xl border border-line bg-card p-6"
      >
        <div className="grid items-start gap-5 sm:grid-cols-2">
          <TextField
            label="Creator name"
            value={name}
            maxLength={100}
            required
            autoComplete="nickname"
            error={problem}
            hint="Stands beside everything you sell."
            onChange={(event) => {
              setName(event.target.value);
              setProblem(null);
            }}
          />
          <SelectField
            label="Country"
            value={country}
            onChange={setCountry}
            options={options}
            hint="Where you live, or your company is. It cannot be changed later."
          />
        </div>
        {onboarding.error && <ErrorNotice error={onboarding.error} />}
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <Button
            type="submit"
            variant="toll"
            pending={onboarding.isPending || onboarding.isSuccess}
          >
            Continue to Stripe
          </Button>
          <p className="text-sm text-muted">A few minutes there; then you are back here.</p>
        </div>
      </form>
    </>
  );
}
