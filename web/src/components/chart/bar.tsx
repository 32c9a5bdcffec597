interface BarProps {
  x: number;
  width: number;
  top: number;
  bottom: number;
  isTop: boolean;
  fill: string;
}

/** Round at its head only; never so low that one unit could not be seen. */
export function Bar({ x, width, top, bottom, isTop, fill }: BarProps) {
  const height = Math.max(2, bottom - top);
  const radius = isTop ? Math.min(4, width / 2, height) : 0;
  const head = bottom - height;
  return (
    <path
      d={`M${x} ${bottom}V${head + radius}q0 ${-radius} ${radius} ${-radius}h${
        width - 2 * radius
      }q${radius} 0 ${radius} ${radius}V${bottom}z`}
      fill={fill}
    />
  );
}
