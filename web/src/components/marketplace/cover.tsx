import { type ReactNode, useId } from "react";
import { cn } from "../../lib/cn.ts";
import { coverOf } from "../../lib/marketplace.ts";

/** Ground, figure and ink of each palette: the colours of signs beside a road. */
const PALETTES = [
  ["#173b2c", "#f4b731", "#e9f2ec"],
  ["#f0b434", "#2a2313", "#2a2313"],
  ["#21405e", "#8fc0e8", "#eaf2f9"],
  ["#8f3f2b", "#f3b79b", "#fdf1ea"],
  ["#54386b", "#c9a6e4", "#f4edfa"],
  ["#0f5a5c", "#7fd4c8", "#e6f6f4"],
] as const;

interface CoverProps {
  id: string;
  title: string;
  /** A data URL; without one a cover is drawn. */
  picture?: string | null;
  className?: string;
}

/** The picture of a listing in 16:9, or a drawing that is always the same for the same one. Nothing but ornament. */
export function Cover({ id, title, picture, className }: CoverProps) {
  return (
    <div
      aria-hidden
      className={cn("relative aspect-video shrink-0 overflow-hidden bg-sunken", className)}
    >
      {picture
        ? <img src={picture} alt="" className="absolute inset-0 size-full object-cover" />
        : <Drawing id={id} title={title} />}
    </div>
  );
}

function Drawing({ id, title }: { id: string; title: string }) {
  const { initial, palette, pattern, angle } = coverOf(id, title);
  const [ground, figure, ink] = PALETTES[palette] ?? PALETTES[0];
  return (
    <svg
      viewBox="0 0 640 360"
      preserveAspectRatio="xMidYMid slice"
      className="absolute inset-0 size-full"
    >
      <rect width="640" height="360" fill={ground} />
      <g fill={figure} stroke={figure}>{FIGURES[pattern]?.(angle)}</g>
      <text
        x="40"
        y="318"
        fill={ink}
        fontSize="190"
        fontWeight="650"
        letterSpacing="-8"
        className="font-sans"
      >
        {initial}
      </text>
    </svg>
  );
}

const FIGURES: ((angle: number) => ReactNode)[] = [
  (angle) => <Barrier angle={angle} />,
  (angle) => (
    <g fill="none" strokeWidth="22" opacity="0.55" transform={`rotate(${angle / 6} 480 360)`}>
      {[70, 130, 190, 250].map((radius) => <circle key={radius} cx="480" cy="360" r={radius} />)}
    </g>
  ),
  (angle) => (
    <g opacity="0.5" transform={`rotate(${angle % 45} 460 160)`} stroke="none">
      {Array.from({ length: 36 }, (_, index) => (
        <circle
          key={index}
          cx={330 + (index % 6) * 56}
          cy={20 + Math.floor(index / 6) * 56}
          r={6 + (index % 6) * 2}
        />
      ))}
    </g>
  ),
  (angle) => (
    <g opacity="0.6" stroke="none" transform={`translate(${angle - 80} 0)`}>
      {[0, 1, 2, 3, 4].map((index) => (
        <path
          key={index}
          opacity={1 - index * 0.16}
          d={`M${360 + index * 74} 360V${140 + index * 34}a37 37 0 0 1 56 0V360z`}
        />
      ))}
    </g>
  ),
];

/** A raised arm with its stripes. */
function Barrier({ angle }: { angle: number }) {
  const clip = useId();
  return (
    <g transform={`rotate(${-10 - (angle % 45) / 2} 250 250)`} stroke="none">
      <clipPath id={clip}>
        <rect x="250" y="200" width="460" height="74" rx="37" />
      </clipPath>
      <rect x="250" y="200" width="460" height="74" rx="37" />
      <g clipPath={`url(#${clip})`} fill="#00000066">
        {[0, 1, 2, 3, 4].map((index) => (
          <path key={index} d={`M${330 + index * 88} 190h40l-44 94h-40z`} />
        ))}
      </g>
    </g>
  );
}
