// Books, moves, cancels and is refused, in the types generated from the document that the system serves.
// HOOP_BASE_URL, HOOP_API_KEY, HOOP_FACTS (JSON: location, contact, users, day) in; a JSON object out.

import createClient from "openapi-fetch";
import type { paths, components } from "./hoop.js";

declare const process: { env: Record<string, string | undefined> };

type Refusal = components["schemas"]["Refusal"];
type Fields = components["schemas"]["RefusalOfFields"];

const facts = JSON.parse(process.env.HOOP_FACTS!);
const client = createClient<paths>({
  baseUrl: process.env.HOOP_BASE_URL!,
  headers: { Authorization: `Bearer ${process.env.HOOP_API_KEY}` },
});
const header = { Version: "v3" } as const;
const at = (hours: number): string =>
  new Date(Date.parse(facts.day) + hours * 3_600_000).toISOString();

const created = await client.POST("/calendars/", {
  params: { header },
  body: {
    locationId: facts.location,
    name: "Generated",
    teamMembers: [{ userId: facts.users[1], priority: 1 }],
    openHours: [
      {
        daysOfTheWeek: [1],
        hours: [{ openHour: 9, openMinute: 0, closeHour: 17, closeMinute: 0 }],
      },
    ],
  },
});
const body = {
  calendarId: created.data!.calendar.id,
  locationId: facts.location as string,
  contactId: facts.contact as string,
  startTime: at(9),
};
const book = (more: Partial<components["schemas"]["CreateAppointment"]>) =>
  client.POST("/calendars/events/appointments", {
    params: { header },
    body: { ...body, ...more },
  });
const booked = await book({});
if (booked.error) throw new Error(JSON.stringify(booked.error));
const taken: Refusal | Fields | undefined = (await book({})).error;
const wrong: Refusal | Fields | undefined = (await book({ startTime: "soon" })).error;
const change = (changed: components["schemas"]["UpdateAppointment"]) =>
  client.PUT("/calendars/events/appointments/{eventId}", {
    params: { header, path: { eventId: booked.data!.id } },
    body: changed,
  });
const moved = await change({ startTime: at(10) });
const cancelled = await change({ appointmentStatus: "cancelled" });

console.log(
  JSON.stringify({
    booked: booked.data!.id === moved.data!.id,
    moved: moved.data!.startTime !== booked.data!.startTime,
    cancelled: cancelled.data!.appointmentStatus,
    taken: taken!.code,
    wrong: [wrong!.code, wrong!.details.map((one) => one.path)],
  }),
);
