import { ImagePlus, LoaderCircle } from "lucide-react";
import { type DragEvent, useId, useRef, useState } from "react";
import type { PictureState } from "../../hooks/use-picture.ts";
import { cn } from "../../lib/cn.ts";
import { PICTURE_TYPES } from "../../lib/picture.ts";
import { Button } from "../ui/button.tsx";

/** A picture of one's own; cut and shrunk here, before it is stored. */
export function PictureField({ state, onTouch }: { state: PictureState; onTouch: () => void }) {
  const { picture, isReading, problem, choose, remove } = state;
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const take = (files: FileList | null) => {
    const file = files?.[0];
    if (!file) return;
    onTouch();
    choose(file);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">Picture</label>
      <div
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={onDrop}
        className={cn(
          "grid items-center gap-4 rounded-xl border border-dashed border-line-strong p-4 sm:grid-cols-[13rem_minmax(0,1fr)]",
          isOver && "border-focus bg-brand-soft",
        )}
      >
        <div className="relative grid aspect-video place-items-center overflow-hidden rounded-lg bg-sunken text-muted">
          {picture
            ? (
              <img
                src={picture}
                alt="The picture of this listing"
                className="absolute inset-0 size-full object-cover"
              />
            )
            : <ImagePlus aria-hidden className="size-7" />}
          {isReading && (
            <span className="absolute inset-0 grid place-items-center bg-card/70">
              <LoaderCircle aria-hidden className="size-6 animate-spin" />
            </span>
          )}
        </div>
        <div className="grid justify-items-start gap-2">
          {/* The button below opens it: a file field itself cannot be styled. */}
          <input
            ref={input}
            id={id}
            type="file"
            accept={PICTURE_TYPES.join(",")}
            tabIndex={-1}
            className="sr-only"
            aria-invalid={problem ? true : undefined}
            aria-describedby={`${id}-hint`}
            onChange={(event) => {
              take(event.target.files);
              event.target.value = "";
            }}
          />
          <div className="flex flex-wrap gap-2">
            <Button
              size="sm"
              variant="outline"
              pending={isReading}
              onClick={() => input.current?.click()}
            >
              {picture ? "Choose another picture" : "Choose a picture"}
            </Button>
            {picture && (
              <Button
                size="sm"
                variant="ghost"
                onClick={() => {
                  onTouch();
                  remove();
                }}
              >
                Remove it
              </Button>
            )}
          </div>
          <p id={`${id}-hint`} className="text-sm text-muted">
            JPEG, PNG or WebP, cut to 16:9. Without one we draw a cover.
          </p>
          {problem && <p role="alert" className="text-sm text-stop-text">{problem}</p>}
        </div>
      </div>
    </div>
  );
}
