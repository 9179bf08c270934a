// Zoom's own client does the five meeting calls against the simulated Zoom and reports as JSON.
// Usage: node check.mjs BASE_URL ACCESS_TOKEN, e.g. http://127.0.0.1:8100/v2
import { MeetingsOAuthClient } from "@zoom/rivet/meetings";

const [baseUrl, accessToken] = process.argv.slice(2);
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
const token = { accessToken, refreshToken: "unused", expirationTimeIso: inAnHour, scopes: [] };

const client = new MeetingsOAuthClient({
  clientId: "unused", // the OAuth host is fixed in this client, so the token is an argument
  clientSecret: "unused",
  tokenStore: { getLatestToken: () => token, storeToken: () => {} },
  installerOptions: { redirectUri: "http://127.0.0.1:9", stateStore: "0123456789abcdef" },
  baseUrl,
  disableReceiver: true,
});
const { meetings } = client.endpoints;

async function errorOf(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.name, message: error.message };
  }
}

const body = { topic: "Cut", type: 2, start_time: "2027-03-01T09:00:00Z", duration: 30, settings: { waiting_room: true } };
const created = await meetings.createMeeting({ path: { userId: "me" }, body });
const path = { meetingId: created.data.id };
const updated = await meetings.updateMeeting({ path, body: { topic: "Shave" } });
const read = await meetings.getMeeting({ path });
const listed = await meetings.listMeetings({ path: { userId: "me" }, query: { type: "scheduled", page_size: 300 } });
const deleted = await meetings.deleteMeeting({ path });
const report = {
  statuses: [created, updated, read, listed, deleted].map((response) => response.statusCode),
  created: created.data,
  read: read.data,
  listed: listed.data,
  gone: await errorOf(() => meetings.getMeeting({ path })),
  invalid: await errorOf(() => meetings.createMeeting({ path: { userId: "me" }, body: { ...body, topik: "x" } })),
};
console.log(JSON.stringify(report));
