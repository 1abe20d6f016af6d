// The demo chat as its users see it. Started by ../run_browser_test.

import assert from "node:assert/strict";
import {Browser, Checks, Server, run, shoot} from "./support.mjs";

const program = process.argv[2];
const checks = new Checks();
const check = (title, body) => checks.check(title, body);

// ---- the words in which the checks are written ------------------------------------------------

const live = (page) => page.waitForSelector('#chat .state[data-state="live"]');
const state = (page, name) => page.waitForSelector(`#chat .state[data-state="${name}"]`);
const open = async (page, query) => {
  await page.goto(server.url + query);
  await live(page);
};
const say = async (page, text) => {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
};
const bubble = (page, text) => page.locator(".msg .bubble", {hasText: text});
const hears = (page, text) => bubble(page, text).last().waitFor();
const notes = (page, text) => page.locator("#log .note", {hasText: text}).last().waitFor();
const person = (page, nick) =>
    page.locator("#people .person", {has: page.locator(".name", {hasText: new RegExp(`^${nick}$`)})});
const sees = (page, nick) => person(page, nick).waitFor();
const misses = (page, nick) => person(page, nick).waitFor({state: "detached"});
const roomCount = (page, room, count) => page.waitForFunction(
    ([name, wanted]) => document.querySelector(`#rooms a[data-room="${name}"] .count`)
                            ?.textContent === wanted,
    [room, String(count)]);
const sent = (page, text) =>
    page.locator('.msg.mine[data-status="sent"] .bubble', {hasText: text}).last().waitFor();
const atBottom = (page) => page.waitForFunction(() => {
  const {scrollHeight, scrollTop, clientHeight} = document.getElementById("scroller");
  return scrollHeight - scrollTop - clientHeight < 2;
});
const lookAway = (page, away) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}, away);
const tooWide = (page) =>
    page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth ||
        [...document.querySelectorAll("#stage *, #panel *, #door *")].some((node) => {
          const box = node.getBoundingClientRect();
          const drawn = node.checkVisibility?.({visibilityProperty: true}) ?? true;
          return drawn && box.width > 1 && (box.left < -0.5 || box.right > innerWidth + 0.5);
        }));

// ---- the program ------------------------------------------------------------------------------

let server;
let browser;
let ada;
let grace;

try {
  server = await Server.start(program, ["--port", "0", "--shards", "2"]);

  await check("a taken port is refused with its number and the option that helps", async () => {
    const {code, output} = await run(program, ["--port", String(server.port)]);
    assert.equal(code, 1);
    assert.ok(output.includes(String(server.port)) && output.includes("--port"), output);
  });

  await check("a wrong option is refused with status 2", async () => {
    const {code, output} = await run(program, ["--port", "seventy"]);
    assert.equal(code, 2);
    assert.match(output, /port/);
  });

  browser = await Browser.launch(new URL(server.url).origin);
  ada = await browser.person("ada");
  grace = await browser.person("grace");
  checks.watch("ada", ada);
  checks.watch("grace", grace);

  // ---- coming in ------------------------------------------------------------------------------

  await check("the door suggests a name and says that it is connected", async () => {
    await ada.goto(server.url);
    await ada.waitForSelector('#door .state[data-state="live"]');
    assert.notEqual(await ada.inputValue("#door-nick"), "");
    assert.equal(await ada.inputValue("#door-room"), "lobby");
    await shoot(ada, "door");
  });

  await check("the door refuses an empty name and a bad room, and says why", async () => {
    await ada.fill("#door-nick", "  ");
    await ada.click("#door-go");
    await ada.locator("#door-error", {hasText: "name"}).waitFor();
    await ada.fill("#door-nick", "Ada");
    await ada.fill("#door-room", "what/ever");
    await ada.click("#door-go");
    await ada.locator("#door-error", {hasText: "letters, digits"}).waitFor();
  });

  await check("the server's own refusal reaches the door", async () => {
    await ada.goto(`${server.url}?room=lobby&nick=${"x".repeat(25)}`);
    await ada.locator("#door-error", {hasText: "24"}).waitFor();
  });

  await check("Enter joins, and the room is in the address", async () => {
    await ada.fill("#door-nick", "Ada");
    await ada.fill("#door-room", "lobby");
    await ada.press("#door-room", "Enter");
    await live(ada);
    await sees(ada, "Ada");
    assert.equal(new URL(ada.url()).search, "?room=lobby");
    assert.equal(await ada.title(), "#lobby · webshocket");
  });

  await check("the empty room tells what to do", async () => {
    await ada.locator("#empty", {hasText: "second tab"}).waitFor();
    await shoot(ada, "empty");
  });

  await check("its link opens a second tab that joins by itself", async () => {
    const opens = ada.waitForEvent("popup");
    await ada.click("#empty-tab");
    const tab = await opens;
    await live(tab);
    await ada.locator("#room-sub", {hasText: "2 people"}).waitFor();
    await notes(ada, "joined");
    await tab.close();
    await notes(ada, "left");
    await ada.locator("#room-sub", {hasText: "Only you"}).waitFor();
  });

  await check("a link with a name joins at once, and the name leaves the address", async () => {
    await open(grace, "?room=lobby&nick=Grace%20Hopper");
    assert.equal(new URL(grace.url()).search, "?room=lobby");
  });

  await check("both see who is here, live", async () => {
    await notes(ada, "Grace Hopper joined");
    for (const page of [ada, grace]) {
      await sees(page, "Ada");
      await sees(page, "Grace Hopper");
      await roomCount(page, "lobby", 2);
    }
  });

  // ---- talking --------------------------------------------------------------------------------

  await check("messages go both ways, each exactly once", async () => {
    await say(ada, "Good morning, Grace");
    await hears(ada, "Good morning, Grace");
    await hears(grace, "Good morning, Grace");
    await say(grace, "Good morning, Ada");
    await hears(ada, "Good morning, Ada");
    await sent(ada, "Good morning, Grace");
    await sent(grace, "Good morning, Ada");
    for (const page of [ada, grace]) {
      assert.equal(await bubble(page, "Good morning, Grace").count(), 1);
      assert.equal(await bubble(page, "Good morning, Ada").count(), 1);
    }
  });

  await check("a message shows its author and its time, in the author's colour", async () => {
    const head = grace.locator(".msg", {hasText: "Good morning, Grace"}).locator(".head");
    assert.equal(await head.locator(".who").textContent(), "Ada");
    assert.match(await head.locator("time").textContent(), /\d\d:\d\d/);
    const hue = (page, locator) => locator.evaluate((node) => node.style.getPropertyValue("--hue"));
    assert.equal(await hue(grace, grace.locator(".msg", {hasText: "Good morning, Grace"})),
                 await hue(ada, person(ada, "Ada").locator(".face")));
  });

  await check("typing is seen by the others, and ends", async () => {
    await grace.locator("#text").pressSequentially("well");
    await ada.locator("#typing", {hasText: "Grace Hopper is typing"}).waitFor();
    assert.equal(await grace.textContent("#typing"), "");
    await grace.fill("#text", "");
    await ada.waitForFunction(() => document.getElementById("typing").textContent === "");
  });

  await check("markup stays text", async () => {
    const nasty = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    await say(grace, nasty);
    await hears(ada, nasty);
    assert.equal(await ada.locator("#log img, #log script").count(), 0);
    assert.equal(await ada.title(), "#lobby · webshocket");
  });

  await check("Shift+Enter makes a line, Enter sends, and the lines arrive", async () => {
    await ada.locator("#text").pressSequentially("first");
    await ada.press("#text", "Shift+Enter");
    await ada.locator("#text").pressSequentially("second");
    await ada.press("#text", "Enter");
    await hears(grace, "first\nsecond");
    assert.equal(await ada.inputValue("#text"), "");
  });

  await check("a message over 2000 characters cannot be sent", async () => {
    await ada.fill("#text", "ä".repeat(2001));
    assert.equal(await ada.textContent("#left"), "-1");
    assert.ok(await ada.isDisabled("#send"));
    await ada.fill("#text", "");
  });

  await check("unread messages are counted in the title until one looks", async () => {
    await lookAway(ada, true);
    await say(grace, "are you there?");
    await ada.waitForFunction(() => document.title === "(1) #lobby · webshocket");
    await lookAway(ada, false);
    await ada.waitForFunction(() => document.title === "#lobby · webshocket");
  });

  // ---- names and rooms ------------------------------------------------------------------------

  await check("a name that is taken gets a number", async () => {
    const twin = await browser.person("twin");
    await open(twin, "?room=lobby&nick=Ada");
    await sees(twin, "Ada2");
    await notes(twin, "Ada2");
    await sees(ada, "Ada2");
    await twin.context().close();
    await misses(ada, "Ada2");
  });

  await check("rooms are apart, listed with counts, and switched by a click", async () => {
    const zoe = await browser.person("zoe");
    await open(zoe, "?room=compilers&nick=Zoe");
    await roomCount(grace, "compilers", 1);
    await grace.click('#rooms a[data-room="compilers"]');
    await grace.locator("#room-name", {hasText: "#compilers"}).waitFor();
    await sees(zoe, "Grace Hopper");
    await misses(ada, "Grace Hopper");
    await notes(ada, "Grace Hopper left");
    await say(zoe, "registers are all spilled");
    await hears(grace, "registers are all spilled");
    assert.equal(await bubble(ada, "registers").count(), 0);
    await grace.goBack();
    await grace.locator("#room-name", {hasText: "#lobby"}).waitFor();
    await sees(ada, "Grace Hopper");
    await hears(grace, "Good morning, Ada");
    assert.equal(await bubble(grace, "registers").count(), 0);
    await zoe.context().close();
    await ada.waitForSelector('#rooms a[data-room="compilers"]', {state: "detached"});
  });

  await check("a new room is opened by its name; a bad name is refused in place", async () => {
    await grace.fill("#room-input", "no way!");
    await grace.press("#room-input", "Enter");
    await grace.locator("#room-error", {hasText: "letters, digits"}).waitFor();
    await grace.fill("#room-input", "quiet-corner");
    await grace.press("#room-input", "Enter");
    await grace.locator("#room-name", {hasText: "#quiet-corner"}).waitFor();
    await roomCount(ada, "quiet-corner", 1);
    await grace.click('#rooms a[data-room="lobby"]');
    await sees(ada, "Grace Hopper");
  });

  await check("a reload keeps the room and the name", async () => {
    await grace.reload();
    await live(grace);
    assert.equal(await grace.textContent("#me-nick"), "Grace Hopper");
    await grace.waitForFunction(() => document.querySelectorAll("#people .person").length === 2);
    await ada.waitForFunction(() => document.querySelectorAll("#people .person").length === 2);
  });

  // ---- reading --------------------------------------------------------------------------------

  await check("the log follows the talk only for those who are at its end", async () => {
    await say(grace, Array.from({length: 50}, (_, i) => `line ${i}`).join("\n"));
    await hears(ada, "line 49");
    await atBottom(ada);
    await ada.evaluate(() => document.getElementById("scroller").scrollTo(0, 0));
    await ada.waitForSelector("#jump:not([hidden])");
    await say(grace, "one more");
    await ada.locator("#jump", {hasText: "1 new message"}).waitFor();
    assert.equal(await ada.evaluate(() => document.getElementById("scroller").scrollTop), 0);
    await ada.click("#jump");
    await atBottom(ada);
    await ada.waitForSelector("#jump", {state: "hidden"});
  });

  await check("the keyboard alone reaches everything", async () => {
    const reached = new Set();
    await ada.focus("#text");
    for (let i = 0; i < 20; ++i) {
      await ada.keyboard.press("Tab");
      reached.add(await ada.evaluate(() => document.activeElement?.id || document.activeElement?.className));
    }
    for (const id of ["room-input", "leave", "scroller", "copy", "text"]) {
      assert.ok(reached.has(id), `${id} is not reached by Tab: ${[...reached]}`);
    }
  });

  // ---- limits ---------------------------------------------------------------------------------

  await check("who talks too fast is told so, and the rest goes out later, in order", async () => {
    for (let i = 1; i <= 10; ++i) await say(ada, `burst ${i}.`);
    await ada.locator("#notice", {hasText: "Slow down"}).waitFor();
    assert.match(await ada.textContent("#notice"), /8 messages in 10 seconds/);
    await shoot(ada, "slow-down");
    await hears(grace, "burst 10.");
    await sent(ada, "burst 10.");
    await ada.waitForSelector("#notice", {state: "hidden"});
    const order = await grace.locator(".bubble", {hasText: /^burst/}).allTextContents();
    assert.deepEqual(order, Array.from({length: 10}, (_, i) => `burst ${i + 1}.`));
  });

  // ---- what the page itself never does ----------------------------------------------------------

  await check("the server holds its ground against odd calls", async () => {
    // The page's own client, past the page's own checks; every answer as its code, or its value.
    const answers = await ada.evaluate(async () => {
      const {Rpc} = await import("/rpc.js");
      const connect = () => new Promise((resolve) => {
        const url = new URL("/chat", location.href);
        url.protocol = "ws:";
        const rpc = new Rpc(url.href);
        rpc.onopen = () => resolve(rpc);
      });
      const first = await connect();
      const second = await connect();
      const ask = (...call) => first.call(...call).then((value) => ({value}), ({code}) => ({code}));
      const long = "\u{1F642}".repeat(24);
      const result = {};
      result.sayOutside = await ask("say", "hello?");
      result.whoOutside = await ask("who");
      result.unknown = await ask("shout", "hello?");
      result.noArguments = await ask("join");
      result.wrongType = await ask("join", 5, "odd");
      result.blankName = await ask("join", " \u200B\u3000", "odd");
      result.longName = await ask("join", `${long}x`, "odd");
      result.turningName = await ask("join", "a\u202Eb", "odd");
      result.badRoom = await ask("join", "Odd", "a/b");
      result.noRoom = await ask("join", "Odd", "");
      result.join = await ask("join", `  ${long}\n`, "odd");
      result.twin = await second.call("join", long, "odd");
      result.emptyText = await ask("say", " \n ");
      result.longText = await ask("say", "x".repeat(2001));
      result.fullText = await ask("say", "\u{1F642}".repeat(2000));
      const overtaken = ask("join", "Odd", "odd-one");
      result.last = await ask("join", "Odd", "odd-two");
      result.overtaken = await overtaken;
      result.who = await ask("who");
      result.rooms = await ask("rooms");
      await ask("leave");
      result.left = await ask("who");
      first.close();
      second.close();
      return result;
    });
    const long = "\u{1F642}".repeat(24);
    const refused = {code: -32001};
    const denied = {code: -32002};
    for (const name of ["blankName", "longName", "turningName", "badRoom", "noRoom", "emptyText", "longText"]) {
      assert.deepEqual(answers[name], refused, name);
    }
    for (const name of ["sayOutside", "whoOutside", "left"]) assert.deepEqual(answers[name], denied, name);
    assert.deepEqual(answers.unknown, {code: -32601});
    assert.deepEqual(answers.noArguments, {code: -32602});
    assert.deepEqual(answers.wrongType, {code: -32602});
    assert.equal(answers.join.value.nick, long);
    assert.equal(answers.twin.nick, `${"\u{1F642}".repeat(23)}2`);
    assert.equal(answers.twin.members.length, 2);
    assert.ok(answers.fullText.value.time > 0);
    assert.equal(answers.last.value.room, "odd-two");
    assert.deepEqual(answers.who.value.map(({nick}) => nick), ["Odd"]);
    const counts = new Map(answers.rooms.value.map(({name, members}) => [name, members]));
    assert.deepEqual([counts.get("odd"), counts.get("odd-one"), counts.get("odd-two")], [1, undefined, 1]);
  });

  // ---- how it looks ---------------------------------------------------------------------------

  const phone = await browser.person("phone", {
    viewport: {width: 360, height: 740}, deviceScaleFactor: 2, hasTouch: true, isMobile: true,
  });
  const night = await browser.person("night", {colorScheme: "dark"});
  checks.watch("phone", phone);
  checks.watch("night", night);

  await check("a phone of 360 px needs no sideways scrolling", async () => {
    await phone.goto(server.url);
    await phone.waitForSelector('#door .state[data-state="live"]');
    assert.equal(await tooWide(phone), false);
    await shoot(phone, "phone-door");
    await open(phone, "?room=lobby&nick=Margaret");
    await open(night, "?room=lobby&nick=Linus");
    await sees(ada, "Margaret");
    await sees(ada, "Linus");
    await say(grace, "The nightly run is done: fan-out to 10,000 sockets, no slow readers.");
    await hears(phone, "nightly run");
    await say(phone, "Lovely. And the long word?");
    await hears(night, "long word");
    await say(night, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(2));
    await hears(phone, "Donau");
    await say(night, "It wraps, on every width that I could find on the desk.");
    await hears(phone, "It wraps");
    assert.equal(await tooWide(phone), false);
    await grace.locator("#text").pressSequentially("I");
    await phone.locator("#typing", {hasText: "Grace"}).waitFor();
    await shoot(phone, "phone");
    await shoot(night, "dark");
    await shoot(ada, "desktop");
  });

  await check("on a phone the panel is a drawer that takes the focus and gives it back", async () => {
    assert.equal(await phone.isVisible("#panel"), false);
    await phone.tap("#panel-open");
    await phone.locator("#people .person", {hasText: "Linus"}).waitFor();
    await phone.waitForFunction(() => document.activeElement.id === "panel-close");
    await phone.waitForFunction(() => document.getElementById("panel").getBoundingClientRect().left === 0);
    assert.equal(await tooWide(phone), false);
    await shoot(phone, "phone-drawer");
    await phone.keyboard.press("Escape");
    await phone.waitForSelector("#panel", {state: "hidden"});
    assert.equal(await phone.evaluate(() => document.activeElement.id), "panel-open");
    await phone.tap("#panel-open");
    await phone.waitForFunction(() => document.getElementById("panel").getBoundingClientRect().left === 0);
    await phone.locator("#scrim").tap({position: {x: 340, y: 300}});
    await phone.waitForSelector("#panel", {state: "hidden"});
  });

  await check("light and dark follow the system", async () => {
    const paper = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const brightness = (rgb) => rgb.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
    assert.ok(brightness(await paper(ada)) > 200);
    assert.ok(brightness(await paper(night)) < 60);
  });

  // ---- loss and return ------------------------------------------------------------------------

  await check("when the server dies the page says so and counts down", async () => {
    browser.expectLoss = true;
    await server.stop("SIGKILL");
    for (const page of [ada, grace, phone, night]) await state(page, "reconnecting");
    await ada.locator("#banner", {hasText: /Next try in \d+ s/}).waitFor();
    await say(ada, "written while it was away");
    await ada.locator('.msg.mine[data-status="waiting"]', {hasText: "written while"}).waitFor();
    await shoot(ada, "reconnecting");
    await shoot(phone, "phone-reconnecting");
    assert.equal(await tooWide(phone), false);
  });

  await check("back on the same port it goes live by itself and sends what waited", async () => {
    server = await Server.start(program, ["--port", String(server.port), "--shards", "2"]);
    for (const page of [ada, grace, phone, night]) await live(page);
    browser.expectLoss = false;
    await sent(ada, "written while it was away");
    assert.equal(await bubble(ada, "written while it was away").count(), 1);
    await ada.waitForFunction(() => document.querySelectorAll("#people .person").length === 4);
    await say(grace, "welcome back");
    await hears(ada, "welcome back");
    await say(ada, "good to be back");
    await hears(grace, "good to be back");
    await ada.waitForSelector("#banner", {state: "hidden"});
  });

  await check("a server that is told to stop closes with 1001 and status 0", async () => {
    const closed = ada.evaluate(() => new Promise((resolve) => {
      const url = new URL("/chat", location.href);
      url.protocol = "ws:";
      const socket = new WebSocket(url, "webshocket.v1.json");
      socket.onopen = () => (window.probing = true);
      socket.onclose = ({code}) => resolve(code);
    }));
    await ada.waitForFunction(() => window.probing);
    browser.expectLoss = true;
    const code = await server.stop("SIGTERM");
    assert.equal(await closed, 1001);
    assert.equal(code, 0);
    await state(ada, "reconnecting");
  });

  await check("Leave goes back to the door, also without a connection", async () => {
    await ada.click("#leave");
    await ada.waitForSelector("#door:not([hidden])");
    assert.equal(await ada.inputValue("#door-nick"), "Ada");
    await ada.waitForSelector('#door .state[data-state="reconnecting"]');
  });

  await check("nothing came from another host", () => assert.deepEqual(browser.strangers, []));
  await check("the console stayed clean", () => assert.deepEqual(browser.errors, []));
} catch (error) {
  await check("the test itself", () => { throw error; });
} finally {
  await browser?.close();
  server?.child.kill("SIGKILL");
}

process.exitCode = checks.finish();
