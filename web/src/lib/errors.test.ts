import { deepEqual, equal } from "node:assert/strict";
import {
  ApiError,
  explain,
  fromAuth,
  fromFunction,
  fromNetwork,
  fromRest,
  isTransient,
  parseLimitDetails,
  toApiError,
} from "./errors.ts";

const details = JSON.stringify({
  metric: "message",
  limit: 50,
  used: 50,
  resets_at: "2026-11-23T00:00:00+00:00",
  plan: "free",
});

Deno.test("a refused message carries limit, use and reset time", () => {
  const error = fromRest({
    code: "message_quota_exceeded",
    message: "Daily message limit reached",
    details,
    hint: "Upgrade",
  }, 429);
  equal(error.code, "message_quota_exceeded");
  equal(error.status, 429);
  deepEqual(error.limit, {
    metric: "message",
    limit: 50,
    used: 50,
    resetsAt: Date.UTC(2026, 10, 23),
    plan: "free",
  });
  equal(isTransient(error), false);
});

Deno.test("an agent refusal has nothing that resets", () => {
  const limit = parseLimitDetails({
    metric: "agent",
    limit: 1,
    used: 1,
    resets_at: null,
    plan: "free",
  });
  equal(limit?.resetsAt, null);
});

Deno.test("details that are not understood are null and do not throw", () => {
  equal(parseLimitDetails("not json"), null);
  equal(parseLimitDetails(null), null);
  equal(parseLimitDetails('{"metric":"message"}'), null);
});

Deno.test("a function's error keeps its request id and suggested action", () => {
  const error = fromFunction(409, {
    error: {
      code: "already_subscribed",
      message: "You already have a subscription",
      request_id: "req_1",
      action: { function: "portal", flow: "update" },
    },
  });
  equal(error.requestId, "req_1");
  deepEqual(error.action, { function: "portal", flow: "update" });
});

Deno.test("a body that is not ours still becomes an error with a code", () => {
  equal(fromFunction(502, "Bad gateway").code, "http_502");
  equal(fromFunction(401, null).code, "unauthorized");
  equal(fromRest(null, 500).code, "http_500");
  equal(isTransient(fromFunction(502, "")), true);
});

Deno.test("nothing answered is a network error, whoever reports it", () => {
  equal(
    fromRest({ message: "TypeError: Failed to fetch", code: "" }, 0).code,
    "network_unreachable",
  );
  equal(fromNetwork(new DOMException("signal timed out", "TimeoutError")).code, "timeout");
  equal(isTransient(fromNetwork(new TypeError("Failed to fetch"))), true);
});

Deno.test("sign-in errors are recognised by code and by their old sentences", () => {
  equal(
    fromAuth({ code: "invalid_credentials", status: 400, message: "x" }).code,
    "invalid_credentials",
  );
  equal(fromAuth(new Error("Invalid login credentials")).code, "invalid_credentials");
  equal(fromAuth({ message: "User already registered", status: 422 }).code, "user_already_exists");
});

Deno.test("every explanation says what happened and what to do, also for an unknown code", () => {
  equal(
    explain(new ApiError("email_exists", "")).title,
    "There is already an account with this e-mail",
  );
  const unknown = explain(new ApiError("teapot", "", { status: 418 }));
  equal(unknown.advice.includes("teapot"), true);
  equal(explain(toApiError(new Error("bug"))).title, "Something went wrong on our side");
});
