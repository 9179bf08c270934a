// Calls every method of the official Node client that belongs to our API, and reports on each.
//
// HOOP_BASE_URL, HOOP_API_KEY and HOOP_FACTS (JSON: location, contact, users, day) in; a JSON object
// {method: {ok, status, error}} out. Arguments and answers are compiled against the client's own
// declarations, so that an answer is of the type that the method promises.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import clientPackage from "@gohighlevel/api-client";
import ts from "typescript";

const { HighLevel } = clientPackage;
const { location, contact, users, day } = JSON.parse(process.env.HOOP_FACTS);
const [user, colleague] = users;
const FOLDER = process.env.HOOP_FOLDER;

// Where the declarations say `any`.
const TYPES = {
  getSlots: "Record<string, { slots: string[] } | string>",
  deleteSchedule: "{ success: boolean }",
  addCalendarToSchedule: "{ success: boolean }",
  removeCalendarFromSchedule: "{ success: boolean }",
};

HighLevel.BASE_URL = process.env.HOOP_BASE_URL;
const client = new HighLevel({ privateIntegrationToken: process.env.HOOP_API_KEY });

let status = 0;
client.getHttpClient().interceptors.response.use(
  (response) => {
    status = response.status;
    return response;
  },
);

const report = {};
const calls = [];

// Stands for whatever a failed call did not answer, so that the next ones are tried, too.
const MISSING = new Proxy(
  {},
  {
    get: (_, name) => {
      if (name === Symbol.toPrimitive) return () => "missing";
      if (name === "toJSON") return () => "missing";
      if (name === Symbol.iterator) return undefined;
      return MISSING;
    },
  },
);

const call = new Proxy(
  {},
  {
    get: (_, method) => async (...args) => {
      const before = report[method] ?? { ok: true };
      try {
        const answer = await client.calendars[method](...args);
        if (before.ok) report[method] = { ok: true, status, error: null };
        calls.push({ method, args, answer });
        return answer;
      } catch (error) {
        const said = JSON.stringify(error.response?.data ?? error.response ?? null);
        const asked = JSON.stringify(args);
        if (before.ok) {
          const code = error.statusCode ?? error.response?.status ?? null;
          report[method] = { ok: false, status: code, error: `${error} ${said} asked: ${asked}` };
        }
        return MISSING;
      }
    },
  },
);

// One file for each call, judged by the compiler; what it says stands in the method's report.
function judgeTypes() {
  const folder = join(FOLDER, "judged");
  mkdirSync(folder, { recursive: true });
  const files = calls.map(({ method, args, answer }, number) => {
    const file = join(folder, `${method}_${number}.ts`);
    const type = TYPES[method] ?? `Awaited<ReturnType<Calendars["${method}"]>>`;
    writeFileSync(
      file,
      `import { Calendars } from "@gohighlevel/api-client/dist/lib/code/calendars/calendars";
const answer = ${JSON.stringify(answer)};
export const answered: ${type} = answer;
export const asked: Parameters<Calendars["${method}"]> = ${JSON.stringify(args)};
`,
    );
    return file;
  });
  const program = ts.createProgram(files, {
    noEmit: true,
    strict: true,
    strictNullChecks: false, // they know no null, though the API does: `availabilityType`
    noImplicitAny: false, // nor does the compiler want to see one, or an empty list, then
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
  });
  for (const found of ts.getPreEmitDiagnostics(program)) {
    const at = files.indexOf(found.file?.fileName);
    if (at < 0) throw new Error(ts.flattenDiagnosticMessageText(found.messageText, "\n"));
    const { method, answer } = calls[at];
    const said = ts.flattenDiagnosticMessageText(found.messageText, "\n");
    const error = `not of its type: ${said} answered: ${JSON.stringify(answer)}`;
    if (report[method].ok) report[method] = { ...report[method], ok: false, error };
  }
  rmSync(folder, { recursive: true });
}

const start = Date.parse(day);
const ms = (hours) => start + hours * 3_600_000;
const at = (hours) => new Date(ms(hours)).toISOString();

function calendarBody(groupId) {
  const hours = [{ openHour: 0, openMinute: 0, closeHour: 23, closeMinute: 60 }];
  return {
    locationId: location,
    groupId,
    name: "Node",
    description: "By the official client",
    slug: `node-${user}`,
    calendarType: "round_robin",
    eventType: "RoundRobin_OptimizeForEqualDistribution",
    teamMembers: [
      { userId: user, priority: 1 },
      { userId: colleague, priority: 0.5 },
    ],
    eventTitle: "{{contact.name}}",
    slotDuration: 30,
    slotDurationUnit: "mins",
    slotInterval: 30,
    slotIntervalUnit: "mins",
    appoinmentPerSlot: 1,
    openHours: [{ daysOfTheWeek: [0, 1, 2, 3, 4, 5, 6], hours }],
    autoConfirm: true,
    allowBookingAfter: 1,
    allowBookingAfterUnit: "hours",
    lookBusyConfig: { enabled: false, LookBusyPercentage: 0 },
  };
}

async function groupsAndCalendars() {
  const slug = `node-group-${user}`;
  const said = { name: "Node", description: "By the official client", slug };
  const groupId = (await call.createCalendarGroup({ locationId: location, ...said })).group.id;
  await call.getGroups({ locationId: location });
  await call.validateGroupsSlug({ locationId: location, slug: `other-${slug}` });
  await call.editGroup({ groupId }, { ...said, name: "Node group" });
  const calendarId = (await call.createCalendar(calendarBody(groupId))).calendar.id;
  await call.getCalendars({ locationId: location });
  await call.getCalendars({ locationId: location, groupId, showDrafted: false });
  await call.getCalendar({ calendarId });
  await call.updateCalendar({ calendarId }, { name: "Node calendar" });
  return { groupId, calendarId };
}

async function appointments(calendarId) {
  const asked = { calendarId, startDate: ms(0), endDate: ms(24), timezone: "Europe/Berlin" };
  const days = await call.getSlots({ ...asked, userIds: [user, colleague] });
  const slots = Object.keys(days)
    .filter((name) => name !== "traceId")
    .flatMap((name) => days[name].slots);
  const { id: eventId } = await call.createAppointment({
    calendarId,
    locationId: location,
    contactId: contact,
    startTime: slots[0] ?? at(9),
    title: "Node",
    address: "Main Street 1",
    meetingLocationType: "address",
    appointmentStatus: "new",
    assignedUserId: user,
    toNotify: false,
  });
  await call.getAppointment({ eventId });
  await call.editAppointment({ eventId }, { title: "Moved", startTime: at(15), endTime: at(15.5) });
  const range = { locationId: location, startTime: String(ms(0)), endTime: String(ms(24)) };
  await call.getCalendarEvents({ ...range, calendarId });
  await call.getCalendarEvents({ ...range, userId: user });
  await notes(eventId);
  await call.deleteEvent({ eventId }, {});
}

async function notes(appointmentId) {
  const body = { body: "First", userId: user };
  const noteId = (await call.createAppointmentNote({ appointmentId }, body)).note.id;
  await call.getAppointmentNotes({ appointmentId, limit: 10, offset: 0 });
  await call.updateAppointmentNote({ appointmentId, noteId }, { body: "Second" });
  await call.deleteAppointmentNote({ appointmentId, noteId });
}

async function blockSlots(calendarId) {
  const body = { calendarId, locationId: location, title: "Closed" };
  const times = { startTime: at(11), endTime: at(12) };
  const { id: eventId } = await call.createBlockSlot({ ...body, ...times });
  await call.editBlockSlot({ eventId }, { ...body, ...times, endTime: at(13) });
  const range = { locationId: location, startTime: String(ms(0)), endTime: String(ms(24)) };
  await call.getBlockedSlots({ ...range, calendarId });
  await call.deleteEvent({ eventId }, {});
}

async function resources() {
  const body = { ...calendarBody(undefined), slug: `service-${user}`, eventType: undefined };
  const created = await call.createCalendar({ ...body, calendarType: "service_booking" });
  const calendarId = created.calendar.id;
  for (const resourceType of ["rooms", "equipments"]) {
    const said = { locationId: location, name: resourceType, description: "By the official client" };
    const counts = { quantity: 2, outOfService: 0, capacity: 5 };
    const { id } = await call.createCalendarResource(
      { resourceType },
      { ...said, ...counts, calendarIds: [calendarId] },
    );
    await call.fetchCalendarResources({ resourceType, locationId: location, limit: 10, skip: 0 });
    await call.getCalendarResource({ resourceType, id });
    await call.updateCalendarResource({ resourceType, id }, { name: `New ${resourceType}` });
    await call.deleteCalendarResource({ resourceType, id });
  }
  await call.deleteCalendar({ calendarId });
}

async function notifications(calendarId) {
  const body = { receiverType: "contact", channel: "email", notificationType: "confirmation" };
  const reminder = { ...body, notificationType: "reminder" };
  const created = await call.createEventNotification({ calendarId }, [
    { ...body, subject: "For {{contact.name}}", isActive: true },
    { ...reminder, beforeTime: [{ timeOffset: 1, unit: "hours" }] },
  ]);
  const notificationId = created[0]._id;
  await call.getEventNotification({ calendarId });
  const filter = { isActive: true, deleted: false, limit: 100, skip: 0 };
  await call.getEventNotification({ calendarId, ...filter });
  await call.findEventNotification({ calendarId, notificationId });
  await call.updateEventNotification({ calendarId, notificationId }, { isActive: false });
  await call.deleteEventNotification({ calendarId, notificationId });
}

async function schedules(calendarId) {
  const intervals = [{ from: "09:00", to: "17:00" }];
  const rules = [{ type: "wday", day: "monday", intervals }];
  const said = { name: "Node", locationId: location, userId: user, timezone: "America/New_York" };
  const id = (await call.createSchedule({ ...said, rules })).schedule.id;
  await call.addCalendarToSchedule({ id, calendarId });
  await call.getAllSchedules({ locationId: location, userId: user });
  await call.getAllSchedules({ locationId: location, userId: user, calendarId, skip: 0, limit: 50 });
  await call.getScheduleById({ id });
  await call.updateSchedule({ id }, { name: "Node schedule", rules });
  await call.removeCalendarFromSchedule({ id, calendarId });
  await call.deleteSchedule({ id });
}

const { groupId, calendarId } = await groupsAndCalendars();
await appointments(calendarId);
await blockSlots(calendarId);
await resources();
await notifications(calendarId);
await schedules(calendarId);
await call.disableGroup({ groupId }, { isActive: false });
await call.deleteGroup({ groupId });
await call.deleteCalendar({ calendarId });
judgeTypes();
console.log(JSON.stringify(report));
