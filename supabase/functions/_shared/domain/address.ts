const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/**
 * Whose calls are counted together: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one household or
 * machine is given (RFC 6177), so that changing the rest is no way around a limit. Null: not an address.
 */
export function networkOf(address: string | null): string | null {
  const text = address?.trim() ?? "";
  if (text.length > 45) return null;
  const four = IPV4.exec(text)?.slice(1).map(Number);
  if (four) return four.every((part) => part <= 255) ? four.join(".") : null;
  const groups = ipv6Groups(text);
  if (groups === null) return null;
  // ::ffff:a.b.c.d is an IPv4 address in IPv6's clothes.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return groups.slice(6).flatMap((group) => [group >> 8, group & 255]).join(".");
  }
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
}

/** The eight groups. URL knows how to read and to shorten an IPv6 address; only `::` is left to spell out. */
function ipv6Groups(text: string): number[] | null {
  if (!/^[0-9a-f:.]+$/i.test(text) || !URL.canParse(`http://[${text}]/`)) return null;
  const short = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = "", tail] = short.split("::");
  const [before, after] = [numbers(head), numbers(tail ?? "")];
  if (tail === undefined) return before;
  return [...before, ...new Array(8 - before.length - after.length).fill(0), ...after];
}

function numbers(part: string): number[] {
  return part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
}
