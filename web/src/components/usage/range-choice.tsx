import { type Day, MAX_DAYS, type Preset, PRESETS, type Range } from "../../lib/usage-history.ts";
import { Choice } from "../ui/choice.tsx";
import { TextField } from "../ui/field.tsx";

interface RangeChoiceProps {
  preset: Preset;
  range: Range;
  today: Day;
  /** What is wrong with the chosen days. */
  problem: string | null;
  onPreset: (preset: Preset) => void;
  onRange: (range: Range) => void;
}

/** The last days, the month, or any days. */
export function RangeChoice(props: RangeChoiceProps) {
  const { preset, range, today, problem, onPreset, onRange } = props;
  return (
    <>
      <Choice<Preset>
        label="Range"
        value={preset}
        onChange={onPreset}
        className="max-sm:w-full max-sm:[&>button]:flex-1 max-sm:[&>button]:justify-center max-sm:[&>button]:px-1 max-sm:[&>button]:text-xs"
        options={PRESETS.map((value) => ({ value, label: <PresetLabel preset={value} /> }))}
      />
      {preset === "custom" && (
        <fieldset className="grid w-full max-w-md grid-cols-2 gap-x-4 gap-y-1.5">
          <legend className="sr-only">Days, {MAX_DAYS} at most</legend>
          <TextField
            label="First day"
            type="date"
            value={range.from}
            max={today}
            aria-invalid={problem !== null || undefined}
            onChange={(event) => onRange({ ...range, from: event.target.value })}
          />
          <TextField
            label="Last day"
            type="date"
            value={range.to}
            max={today}
            aria-invalid={problem !== null || undefined}
            onChange={(event) => onRange({ ...range, to: event.target.value })}
          />
          {problem && <p role="alert" className="col-span-2 text-sm text-stop-text">{problem}</p>}
        </fieldset>
      )}
    </>
  );
}

function PresetLabel({ preset }: { preset: Preset }) {
  switch (preset) {
    case "month":
      return (
        <span>
          Month <span className="max-sm:sr-only">so far</span>
        </span>
      );
    case "custom":
      return "Custom";
    default:
      return `${preset} days`;
  }
}
