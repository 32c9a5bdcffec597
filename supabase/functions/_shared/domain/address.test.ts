import assert from "node:assert/strict";
import { networkOf } from "./address.ts";

Deno.test("an IPv4 address counts alone, however it is written", () => {
  assert.equal(networkOf("192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf(" 192.0.2.7 "), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::FFFF:c000:0207"), "192.0.2.7");
});

Deno.test("an IPv6 address counts with its whole /64", () => {
  const network = "2001:db8:1:2::/64";
  assert.equal(networkOf("2001:db8:1:2::1"), network);
  assert.equal(networkOf("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff"), network);
  assert.notEqual(networkOf("2001:db8:1:3::1"), network);
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
  assert.equal(networkOf("2001:db8::"), "2001:db8:0:0::/64");
});

Deno.test("what is no address is nobody's", () => {
  const none = [
    null,
    "",
    "unknown",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4, 5.6.7.8",
    "fe80::1%eth0",
    "::1]",
    "1:2:3:4:5:6:7",
  ];
  for (const text of [...none, `${"0".repeat(60)}::1`, "[::1]", "localhost"]) {
    assert.equal(networkOf(text), null, String(text));
  }
});
