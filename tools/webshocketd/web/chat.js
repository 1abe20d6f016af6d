// The chat page. Whatever other people wrote reaches the document as text nodes only.

import {Link} from "./link.js";
import {Code} from "./rpc.js";

const kEntriesPerRoom = 500;
const kPeopleShown = 200;
const kGroupWithin = 3 * 60_000;
const kTypingRepeat = 2_500;
const kTypingIdle = 4_000;
const kTypingForget = 6_000;
const kRoomName = /^[A-Za-z0-9_-]{1,32}$/;

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit"});
const calendar =
    new Intl.DateTimeFormat(undefined, {weekday: "long", day: "numeric", month: "long"});

let wanted = null;   // {nick, room}: where the user wants to be; it survives a lost connection
let me = null;       // {uid, nick, room}: where the server says we are
let joining = null;  // the join in flight; a newer one replaces it
let early = [];      // what the room said before that join was answered
let limits = {text: 2000, says: 8, period_ms: 10_000};
let rooms = [];
let members = new Map();
const logs = new Map();  // room → the entries shown in it
const typers = new Map();

// ---------------------------------------------------------------------------------- small tools

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const codePoints = (text) => [...text].length;
const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
const byNick = (a, b) => a.nick.localeCompare(b.nick, undefined, {numeric: true});

// Twelve hues that stay apart and readable on both backgrounds; a name keeps its colour.
const kHues = [25, 50, 85, 125, 150, 175, 205, 235, 260, 290, 320, 350];
function paint(node, nick) {
  let hash = 2166136261;
  for (const char of nick) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  node.style.setProperty("--hue", kHues[(hash >>> 7) % kHues.length]);
  return node;
}

function face(nick) {
  const first = [...nick][0] ?? "?";
  const node = paint(el("span", "face", first.toLocaleUpperCase()), nick);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function inventName() {
  const pick = (list) => list[Math.floor(Math.random() * list.length)];
  return pick(["Amber", "Brave", "Calm", "Clever", "Eager", "Gentle", "Lucky", "Merry", "Nimble",
               "Quiet", "Swift", "Witty"]) + " " +
      pick(["Badger", "Crane", "Finch", "Fox", "Hare", "Heron", "Lynx", "Marten", "Otter", "Owl",
            "Robin", "Wren"]);
}

// Storage may be forbidden; then the page just forgets.
function recall(store) {
  try {
    return JSON.parse(window[store].getItem("webshocket.chat")) ?? {};
  } catch {
    return {};
  }
}
function remember(store, value) {
  try {
    if (value) window[store].setItem("webshocket.chat", JSON.stringify(value));
    else window[store].removeItem("webshocket.chat");
  } catch {
  }
}

const ticks = new Set();
let ticker = 0;
function tick(task, on) {
  if (on) ticks.add(task);
  else ticks.delete(task);
  if (ticks.size && !ticker) {
    ticker = setInterval(() => ticks.forEach((each) => each()), 250);
  } else if (!ticks.size && ticker) {
    clearInterval(ticker);
    ticker = 0;
  }
}

const secondsUntil = (moment) => Math.max(1, Math.ceil((moment - Date.now()) / 1000));

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => ($("toast").hidden = true), 2600);
}

// ---------------------------------------------------------------------------------- connection

const server = new URL("/chat", location.href);
server.protocol = location.protocol === "https:" ? "wss:" : "ws:";
server.search = server.hash = "";

const link = new Link(server.href, {
  state: onLinkState,
  packet: onPacket,
  probe: refresh,
});

async function refresh() {
  if (!me) return showRooms(await link.call("rooms"));
  const room = me.room;
  const list = await link.call("who");
  if (me?.room === room) setMembers(list);
}

function onLinkState(state) {
  if (state === "live") {
    if (wanted) join();
    else link.call("rooms").then(showRooms, () => {});
  } else if (me) {
    note(me.room, "The connection was lost");
    me = null;
    joining = null;
    clearTyping();
    showPeople();
  }
  showState();
}

function showState() {
  // To the user the chat is live when messages flow, which needs the room and not just a socket.
  const state = link.state === "live" && wanted && !me ? "connecting" : link.state;
  const words = {
    connecting: "Connecting",
    live: wanted ? "Live" : "Connected",
    reconnecting: "Reconnecting",
    offline: "Offline",
  };
  for (const pill of document.querySelectorAll(".state")) {
    pill.dataset.state = state;
    pill.querySelector(".state-text").textContent = words[state];
  }
  const reconnecting = state === "reconnecting";
  const lost = reconnecting || state === "offline" || (state === "connecting" && showState.lost);
  showState.lost = lost;
  const text = {
    reconnecting: "The connection was lost. What you write now is kept and sent afterwards.",
    offline: "You are offline. What you write now is kept and sent when you are back.",
    connecting: "Connecting again…",
  }[state] ?? "";
  $("banner").hidden = !lost;
  $("banner").dataset.state = state;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
  $("banner-retry").hidden = !reconnecting;
  countDown();
  tick(countDown, reconnecting);
  $("door-go").textContent = joining || (wanted && !me) ? "Joining…" : "Join the room";
}

function countDown() {
  const seconds = link.state === "reconnecting" ? secondsUntil(link.retryAt) : 0;
  $("banner-count").textContent = seconds ? `Next try in ${seconds} s.` : "";
}

function onPacket(packet) {
  const {channel, data} = packet;
  if (typeof data?.type !== "string") return;
  if (data.type === "rooms") return showRooms(data.rooms);
  if (me && channel === `room:${me.room}` && !joining) return onRoomEvent(data);
  if (joining && channel === `room:${wanted.room}`) early.push(data);
}

function onRoomEvent({type, uid, nick, text, time, on}) {
  if (type === "message") {
    forgetTyper(uid);
    add(me.room, {kind: "message", uid, nick, text, time});
    if (away()) setUnread(unread + 1);
  } else if (type === "joined") {
    if (members.has(uid)) return;
    members.set(uid, {uid, nick});
    showPeople();
    note(me.room, `${nick} joined`, time);
  } else if (type === "left") {
    forgetTyper(uid);
    if (!members.delete(uid)) return;
    showPeople();
    note(me.room, `${nick} left`, time);
  } else if (type === "typing") {
    if (on) rememberTyper(uid, nick);
    else forgetTyper(uid);
  }
}

// ---------------------------------------------------------------------------------- coming and going

async function join() {
  const token = joining = {};
  const goal = wanted;
  early = [];
  showState();
  let answer;
  try {
    answer = await link.call("join", goal.nick, goal.room);
  } catch (error) {
    if (joining !== token) return;
    joining = null;
    // After a lost connection the link comes back by itself, and then we ask again.
    if (error.code !== Code.dropped) refuse(error.message);
    return;
  }
  if (joining !== token) return;
  joining = null;
  const before = logs.get(goal.room)?.length;
  me = {uid: answer.uid, nick: answer.nick, room: answer.room};
  limits = {...limits, ...answer.limits};
  remember("sessionStorage", goal);
  if (!goal.guest) remember("localStorage", {nick: goal.nick, room: goal.room});
  showChat();
  setMembers(answer.members);
  note(me.room, before ? "You are back" : `You joined #${me.room}`);
  if (me.nick !== goal.nick) note(me.room, `“${goal.nick}” is taken here, so you are ${me.nick}`);
  for (const event of early) onRoomEvent(event);
  link.call("rooms").then(showRooms, () => {});
  showState();
  giveUpElsewhere(me.room);
  pump();
}

function refuse(why) {
  const elsewhere = me && wanted.room !== me.room;
  if (elsewhere) {
    wanted = {...wanted, room: me.room};
    $("room-error").textContent = why;
    $("room-error").hidden = false;
    showState();
    refresh().catch(() => {});
    return;
  }
  showDoor(why);
}

function go(room, {push = true} = {}) {
  if (!wanted || room === wanted.room) return;
  stopTyping();
  clearTyping();
  wanted = {...wanted, room};
  if (push) history.pushState(null, "", `?room=${encodeURIComponent(room)}`);
  if (link.state === "live") {
    join();
  } else {
    showChat();
    setMembers([]);
  }
}

function leave() {
  giveUpElsewhere(null);
  link.call("leave").catch(() => {});
  clearTyping();
  showDoor();
}

function showDoor(why = "") {
  const memory = wanted ?? {};
  wanted = me = joining = null;
  remember("sessionStorage", null);
  closePanel();
  $("chat").hidden = true;
  $("door").hidden = false;
  $("door-nick").value = memory.nick ?? recall("localStorage").nick ?? inventName();
  $("door-room").value = memory.room ?? recall("localStorage").room ?? "lobby";
  showDoorError(why);
  setUnread(0);
  showState();
  showRooms(rooms);
  $("door-nick").select();
}

function showDoorError(why, field = $("door-nick")) {
  $("door-error").textContent = why;
  $("door-error").hidden = !why;
  for (const input of [$("door-nick"), $("door-room")]) input.removeAttribute("aria-invalid");
  if (why) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }
}

function showChat() {
  const room = me?.room ?? wanted.room;
  const fresh = $("chat").hidden || shownRoom !== room;
  $("door").hidden = true;
  $("chat").hidden = false;
  $("room-name").textContent = `#${room}`;
  $("text").placeholder = `Message #${room}`;
  if (!location.search.includes(`room=${encodeURIComponent(room)}`) ||
      location.search.includes("nick=")) {
    history.replaceState(null, "", `?room=${encodeURIComponent(room)}`);
  }
  const nick = me?.nick ?? wanted.nick;
  if (!me) $("room-sub").textContent = "Joining…";
  $("me-nick").textContent = nick;
  $("me-face").replaceWith(Object.assign(face(nick), {id: "me-face"}));
  $("room-error").hidden = true;
  $("empty-tab").href = `?${new URLSearchParams({room, nick: inventName()})}`;
  setUnread(unread);
  showRooms(rooms);
  if (!fresh) return;
  showLog(room);
  closePanel();
  if (!narrow.matches) $("text").focus();
}

function cleanRoom(text) {
  return text.trim().replace(/^#/, "").replace(/\s+/g, "-");
}
const kRoomHelp = "A room is 1 to 32 letters, digits, - or _.";

$("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const nick = $("door-nick").value.trim();
  const room = cleanRoom($("door-room").value);
  $("door-room").value = room;
  if (!nick) return showDoorError("Please tell your name.");
  if (codePoints(nick) > 24) return showDoorError("A name has 24 characters at most.");
  if (!kRoomName.test(room)) return showDoorError(kRoomHelp, $("door-room"));
  showDoorError("");
  wanted = {nick, room};
  if (link.state === "live") join();
  else link.retryNow();
  showState();
});

$("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = cleanRoom($("room-input").value);
  const fits = kRoomName.test(room);
  $("room-error").textContent = fits ? "" : kRoomHelp;
  $("room-error").hidden = fits;
  if (!fits) return $("room-input").focus();
  $("room-input").value = "";
  if (room === wanted.room) closePanel();
  else go(room);
});

addEventListener("popstate", () => {
  const room = new URLSearchParams(location.search).get("room");
  if (wanted && room && kRoomName.test(room)) go(room, {push: false});
});

$("leave").addEventListener("click", leave);
$("banner-retry").addEventListener("click", () => link.retryNow());

$("copy").addEventListener("click", async () => {
  const url = new URL(location.href);
  url.search = `?room=${encodeURIComponent(wanted.room)}`;
  try {
    await navigator.clipboard.writeText(url.href);
    toast("Link copied");
  } catch {
    // Plain HTTP on another host has no clipboard.
    toast(url.href);
  }
});

// ---------------------------------------------------------------------------------- side panel

const narrow = matchMedia("(max-width: 820px)");

function openPanel() {
  $("chat").dataset.panel = "open";
  $("panel-open").setAttribute("aria-expanded", "true");
  $("scrim").hidden = false;
  fence();
  $("panel-close").focus();
  if (link.state === "live") refresh().catch(() => {});
}

function closePanel() {
  const open = $("chat").dataset.panel === "open";
  delete $("chat").dataset.panel;
  $("panel-open").setAttribute("aria-expanded", "false");
  $("scrim").hidden = true;
  fence();
  if (open && narrow.matches) $("panel-open").focus();
}

// As a drawer the panel is a dialog: the keyboard must not wander behind what is in front.
function fence() {
  const open = $("chat").dataset.panel === "open";
  $("panel").inert = narrow.matches && !open;
  $("stage").inert = narrow.matches && open;
}

narrow.addEventListener("change", closePanel);
$("panel-open").addEventListener("click", openPanel);
$("panel-close").addEventListener("click", closePanel);
$("scrim").addEventListener("click", closePanel);
addEventListener("keydown", (event) => event.key === "Escape" && closePanel());

function showRooms(list) {
  rooms = Array.isArray(list) ? list : [];
  const counts = new Map(rooms.map(({name, members: count}) => [name, count]));
  showChips(counts);
  if (!wanted) return;
  const current = me?.room ?? wanted.room;
  if (me) counts.set(me.room, members.size);
  for (const room of [...logs.keys(), current]) if (!counts.has(room)) counts.set(room, 0);
  const items = [...counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
  $("rooms").replaceChildren(...items.map(([room, count]) => {
    const number = el("span", "count", String(count));
    number.setAttribute("aria-label", plural(count, "person", "people"));
    const hash = el("span", "hash", "#");
    hash.setAttribute("aria-hidden", "true");
    const anchor = el("a", "", hash, el("span", "name", room), number);
    anchor.href = `?room=${encodeURIComponent(room)}`;
    anchor.dataset.room = room;
    if (room === current) anchor.setAttribute("aria-current", "page");
    return el("li", "", anchor);
  }));
}

$("rooms").addEventListener("click", (event) => {
  const anchor = event.target.closest("a");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (anchor.dataset.room === wanted.room) closePanel();
  else go(anchor.dataset.room);
});

function showChips(counts) {
  const busiest = [...counts].filter(([, n]) => n > 0).sort(([, n], [, m]) => m - n).slice(0, 6);
  $("door-rooms").hidden = !busiest.length;
  $("door-rooms").replaceChildren(...busiest.map(([room, count]) => {
    const chip = el("button", "chip", `#${room}`, el("span", "count", String(count)));
    chip.type = "button";
    chip.addEventListener("click", () => {
      $("door-room").value = room;
      $("door-nick").focus();
    });
    return chip;
  }));
}

function setMembers(list) {
  members = new Map(list.map((member) => [member.uid, member]));
  for (const uid of typers.keys()) if (!members.has(uid)) forgetTyper(uid);
  showPeople();
}

function showPeople() {
  const people = [...members.values()].sort(byNick);
  const mine = people.findIndex(({uid}) => uid === me?.uid);
  if (mine > 0) people.unshift(...people.splice(mine, 1));
  $("people-count").textContent = people.length || "";
  $("people").replaceChildren(...people.slice(0, kPeopleShown).map(({uid, nick}) => {
    const item = el("li", "person", face(nick), el("span", "name", nick));
    item.dataset.uid = uid;
    if (uid === me?.uid) item.append(el("span", "you", "you"));
    return item;
  }));
  if (people.length > kPeopleShown) {
    $("people").append(el("li", "person more", `and ${people.length - kPeopleShown} more`));
  }
  // Without a connection these are the people of a moment ago.
  $("people").classList.toggle("stale", !me);
  const others = people.length - 1;
  $("room-sub").textContent = !me ? "Not connected" : others > 0 ? `${people.length} people here` : "Only you are here";
  showEmpty();
  showRooms(rooms);
}

// ---------------------------------------------------------------------------------- messages

let shownRoom = "";

function add(room, entry) {
  if (!logs.has(room)) logs.set(room, []);
  const entries = logs.get(room);
  const previous = entries.at(-1);
  entries.push(entry);
  while (entries.length > kEntriesPerRoom) entries.shift().node?.remove();
  if (room !== shownRoom) return;
  append(entry, previous);
  if (entry.mine || stuck) toBottom();
  else if (entry.kind === "message") showJump(missed + 1);
  showEmpty();
}

function note(room, text, time = Date.now()) {
  add(room, {kind: "note", text, time});
}

function showLog(room) {
  shownRoom = room;
  if (!logs.has(room)) logs.set(room, []);
  // The old lines come back at once; reading all of them out would bury what is new.
  $("log").setAttribute("aria-live", "off");
  $("log").replaceChildren();
  let previous;
  for (const entry of logs.get(room)) {
    append(entry, previous);
    previous = entry;
  }
  setTimeout(() => $("log").setAttribute("aria-live", "polite"));
  showEmpty();
  toBottom();
}

// A reconnect gives us a new uid, but we are still the same to ourselves.
const author = ({mine, uid}) => mine ? "me" : uid;

function append(entry, previous) {
  const day = new Date(entry.time).toDateString();
  if (previous ? new Date(previous.time).toDateString() !== day : day !== new Date().toDateString()) {
    $("log").append(el("li", "day", calendar.format(entry.time)));
  }
  if (entry.kind === "note") {
    entry.node = el("li", "note", el("span", "", entry.text));
  } else {
    const follows = previous?.kind === "message" && author(previous) === author(entry) &&
        entry.time - previous.time < kGroupWithin;
    entry.node = paint(el("li", "msg"), entry.nick);
    entry.node.classList.toggle("mine", Boolean(entry.mine));
    entry.node.classList.toggle("follows", follows);
    if (!entry.mine) entry.node.append(face(entry.nick));
    const when = el("time", "", clock.format(entry.time));
    when.dateTime = new Date(entry.time).toISOString();
    const who = el("span", entry.mine ? "unseen" : "who", entry.mine ? "You" : entry.nick);
    const text = el("p", "bubble", entry.text);
    text.dir = "auto";
    text.title = clock.format(entry.time);
    entry.node.append(el("div", "said", el("div", "head", who, when), el("div", "row", text)));
    showStatus(entry);
  }
  $("log").append(entry.node);
}

function showStatus(entry) {
  if (!entry.mine || !entry.node) return;
  entry.node.dataset.status = entry.status;
  entry.node.querySelector(".status")?.remove();
  entry.node.querySelector(".refused")?.remove();
  if (entry.status === "waiting" || entry.status === "sending") {
    const sign = el("span", "status", icon("clock"), el("span", "unseen", "not sent yet"));
    sign.title = "Not sent yet";
    entry.node.querySelector(".row").prepend(sign);
  } else if (entry.status === "failed") {
    const again = el("button", "text-button", "Try again");
    const remove = el("button", "text-button", "Remove");
    again.addEventListener("click", () => {
      entry.status = "waiting";
      entry.room = shownRoom;
      showStatus(entry);
      pump();
    });
    remove.addEventListener("click", () => {
      const entries = logs.get(shownRoom);
      entries.splice(entries.indexOf(entry), 1);
      entry.node.remove();
      outbox.splice(outbox.indexOf(entry), 1);
      showEmpty();
    });
    entry.node.querySelector(".said").append(
        el("p", "refused", `Not sent. ${entry.why} `, again, " ", remove));
    if (stuck) toBottom();
  }
}

function showEmpty() {
  const entries = logs.get(shownRoom) ?? [];
  const quiet = !entries.some(({kind}) => kind === "message");
  $("empty").hidden = !quiet;
  if (!quiet) return;
  const others = [...members.values()].filter(({uid}) => uid !== me?.uid);
  $("empty-title").textContent =
      others.length ? `Say hello to ${list(others.map(({nick}) => nick))}` : "It is quiet in here";
  $("empty-text").textContent = others.length ?
      "Nothing was said since you came in. Write the first line." :
      "Open this page in a second tab, or send somebody the link, and talk.";
  $("empty-tab").parentElement.hidden = others.length > 0;
}

function list(names) {
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${names.length - 2} others`;
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

// Follow the conversation only as long as the reader does.
let stuck = true;
let missed = 0;

function toBottom() {
  stuck = true;
  $("scroller").scrollTop = $("scroller").scrollHeight;
  showJump(0);
}

function showJump(count) {
  missed = count;
  $("jump").hidden = stuck;
  $("jump-text").textContent = count ? plural(count, "new message", "new messages") : "Latest";
}

$("scroller").addEventListener("scroll", () => {
  const {scrollHeight, scrollTop, clientHeight} = $("scroller");
  stuck = scrollHeight - scrollTop - clientHeight < 48;
  showJump(stuck ? 0 : missed);
}, {passive: true});
$("jump").addEventListener("click", () => {
  toBottom();
  $("text").focus();
});
new ResizeObserver(() => stuck && toBottom()).observe($("scroller"));

// ---------------------------------------------------------------------------------- sending

const outbox = [];  // own messages that the server has not confirmed, oldest first
let sending = false;
let windowStart = 0;
let pausedUntil = 0;
let pauseTimer = 0;

function giveUpElsewhere(room) {
  for (const entry of outbox) {
    if (entry.status === "waiting" && entry.room !== room) {
      fail(entry, "You left the room before.");
    }
  }
}

function fail(entry, why) {
  entry.status = "failed";
  entry.why = why;
  showStatus(entry);
}

function say(text) {
  const {nick, room} = me ?? wanted;
  const entry =
      {kind: "message", mine: true, uid: me?.uid, nick, room, text, time: Date.now(), status: "waiting"};
  outbox.push(entry);
  add(room, entry);
  pump();
}

// One at a time, so that what waited arrives in the order in which it was written.
async function pump() {
  if (sending || !me || joining || Date.now() < pausedUntil) return;
  const entry = outbox.find(({status, room}) => status === "waiting" && room === me.room);
  if (!entry) return;
  sending = true;
  entry.status = "sending";
  const started = Date.now();
  try {
    const {time} = (await link.call("say", entry.text)) ?? {};
    if (started - windowStart >= limits.period_ms) windowStart = started;
    entry.status = "sent";
    if (time) entry.time = time;
    outbox.splice(outbox.indexOf(entry), 1);
    showStatus(entry);
  } catch (error) {
    if (error.code === Code.rateLimited) {
      entry.status = "waiting";
      showStatus(entry);
      pause(Math.max(windowStart + limits.period_ms + 250, Date.now() + 1000));
    } else if (error.code === Code.dropped) {
      fail(entry, "The connection was lost, so it may have arrived or not.");
    } else {
      fail(entry, error.message);
    }
  }
  sending = false;
  pump();
}

function pause(until) {
  pausedUntil = until;
  clearTimeout(pauseTimer);
  pauseTimer = setTimeout(() => {
    showPause();
    pump();
  }, until - Date.now());
  $("notice").replaceChildren(
      el("strong", "", "Slow down."),
      ` The room takes ${limits.says} messages in ${limits.period_ms / 1000} seconds. `,
      "Yours is kept and goes out by itself",
      Object.assign(el("span", "seconds"), {ariaHidden: "true"}), ".");
  showPause();
}

function showPause() {
  const on = Date.now() < pausedUntil;
  $("notice").hidden = !on;
  tick(showPause, on);
  if (on) $("notice").querySelector(".seconds").textContent = ` in ${secondsUntil(pausedUntil)} s`;
}

function fitText() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 168)}px`;
  const length = codePoints(box.value.trim());
  const left = limits.text - length;
  $("left").hidden = left > 200;
  $("left").textContent = left;
  $("left").classList.toggle("over", left < 0);
  $("send").disabled = !length || left < 0;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  fitText();
  if ($("send").disabled) return;
  const text = $("text").value.trim();
  $("text").value = "";
  fitText();
  stopTyping();
  say(text);
  $("text").focus();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("text").addEventListener("input", () => {
  fitText();
  if ($("text").value.trim()) startTyping();
  else stopTyping();
});

addEventListener("beforeunload", (event) => {
  if (outbox.some(({status}) => status === "waiting")) event.preventDefault();
});

// ---------------------------------------------------------------------------------- typing

let typingSince = 0;
let typingTimer = 0;

function startTyping() {
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, kTypingIdle);
  if (!me || Date.now() - typingSince < kTypingRepeat) return;
  typingSince = Date.now();
  link.call("typing", true).catch(() => {});
}

function stopTyping() {
  clearTimeout(typingTimer);
  if (!typingSince) return;
  typingSince = 0;
  if (me) link.call("typing", false).catch(() => {});
}

function rememberTyper(uid, nick) {
  clearTimeout(typers.get(uid)?.timer);
  typers.set(uid, {nick, timer: setTimeout(() => forgetTyper(uid), kTypingForget)});
  showTyping();
}

function forgetTyper(uid) {
  if (!typers.has(uid)) return;
  clearTimeout(typers.get(uid).timer);
  typers.delete(uid);
  showTyping();
}

function clearTyping() {
  typingSince = 0;
  clearTimeout(typingTimer);
  for (const uid of [...typers.keys()]) forgetTyper(uid);
}

function showTyping() {
  const names = [...typers.values()].map(({nick}) => nick).sort();
  const dots = el("span", "dots", el("span"), el("span"), el("span"));
  dots.setAttribute("aria-hidden", "true");
  $("typing").replaceChildren(
      ...(names.length ? [dots, `${list(names)} ${names.length > 1 ? "are" : "is"} typing`] : []));
}

// ---------------------------------------------------------------------------------- unread

let unread = 0;
const away = () => document.hidden || !document.hasFocus();

function setUnread(count) {
  unread = count;
  const room = wanted ? `#${me?.room ?? wanted.room} · webshocket` : "webshocket chat";
  document.title = count ? `(${count}) ${room}` : room;
}

addEventListener("focus", () => setUnread(0));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  setUnread(0);
  link.check();
});

// ---------------------------------------------------------------------------------- start

{
  const url = new URLSearchParams(location.search);
  const tab = recall("sessionStorage");
  const home = recall("localStorage");
  const asked = cleanRoom(url.get("room") ?? "");
  const room = (kRoomName.test(asked) && asked) || tab.room || home.room || "lobby";
  const nick = url.get("nick")?.trim() || tab.nick;
  fence();
  if (nick) {
    // A name from the link is for this tab; the one the user once chose stays the default.
    wanted = {nick, room, guest: url.has("nick") || Boolean(tab.guest)};
    showChat();
  } else {
    showDoor();
    $("door-room").value = room;
  }
  link.retryNow();
}
