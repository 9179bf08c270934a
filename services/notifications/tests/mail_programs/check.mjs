// Reads mails as other people's programs do: MIME by postal-mime, calendar files by ical.js.
// `node check.mjs FILE…` prints a JSON array with what each mail shows.
import { readFile } from "node:fs/promises";
import ICAL from "ical.js";
import PostalMime from "postal-mime";

const text = (attachment) =>
  typeof attachment.content === "string"
    ? attachment.content
    : new TextDecoder("utf-8", { fatal: true }).decode(attachment.content);

function calendar(file) {
  const root = new ICAL.Component(ICAL.parse(file));
  return {
    method: root.getFirstPropertyValue("method"),
    entries: root.getAllSubcomponents("vevent").map((component) => {
      const event = new ICAL.Event(component);
      return {
        uid: event.uid,
        sequence: event.sequence,
        status: component.getFirstPropertyValue("status"),
        summary: event.summary,
        description: event.description,
        location: event.location,
        start: event.startDate.toJSDate().toISOString(),
        end: event.endDate.toJSDate().toISOString(),
        attendees: event.attendees.map((each) => each.getFirstValue()),
      };
    }),
  };
}

async function read(path) {
  const mail = await PostalMime.parse(await readFile(path), { attachmentEncoding: "arraybuffer" });
  const files = mail.attachments.map((each) => ({
    name: each.filename,
    type: each.mimeType,
    calendar: calendar(text(each)),
  }));
  return {
    from: mail.from,
    to: mail.to,
    subject: mail.subject,
    messageId: mail.messageId,
    references: mail.references,
    text: mail.text,
    html: mail.html,
    files,
  };
}

console.log(JSON.stringify(await Promise.all(process.argv.slice(2).map(read))));
