// Drives Chromium over a running Datil and prints one JSON object: what each check found.
//
//     node visit.js BASE_URL FACTS_JSON [SCREENSHOT_DIR]
//
// FACTS: {"crash_id", "signature", "email", "password", "admin"}; both accounts have the password
"use strict";
const { chromium } = require("playwright-core");
const fs = require("fs");
const path = require("path");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const [base, factsText, shots] = process.argv.slice(2);
const facts = JSON.parse(factsText);
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// Neighbours must differ in more than the hash, else nothing is loaded.
const PAGES = {
  home: "/",
  product: "/home/product/Crashme",
  nothing: "/static/nothing.css",
  symbols: "/report/index/" + facts.crash_id + "#tab-symbols",
  search: "/search/?product=Crashme&_facets=signature&_facets=platform",
  report: "/report/index/" + facts.crash_id,
  correlations: "/signature/?signature=" + encodeURIComponent(facts.signature) + "#tab-correlations",
  topcrashers: "/topcrashers/?product=Crashme&version=1.0&process_type=any",
  signature: "/signature/?signature=" + encodeURIComponent(facts.signature),
  "report-similar": "/report/similar/?crash_id=" + facts.crash_id,
  "search-help": "/documentation/supersearch/",
  "report-correlations": "/report/index/" + facts.crash_id + "#tab-correlation",
  login: "/login/",
  api: "/api/",
  jobs: "/monitoring/cron/",
};

const SYMBOL_PAGES = {
  "symbols-home": "/symbols/",
  "symbols-uploads": "/symbols/uploads",
  "symbols-upload": "/symbols/uploads/upload/1",
  "symbols-upload-now": "/symbols/uploads/upload",
  "symbols-files": "/symbols/uploads/files",
  "symbols-file": "/symbols/uploads/files/file/1",
  "symbols-tokens": "/symbols/tokens",
  "symbols-users": "/symbols/users",
  "symbols-user": "/symbols/users/1",
  "symbols-audit": "/symbols/users/audit",
  "symbols-help": "/symbols/help",
  "symbols-status": "/symbols/status",
  purge: "/siteadmin/purge/",
  admin: "/siteadmin/",
  "admin-notices": "/siteadmin/notices/",
  "admin-queues": "/siteadmin/queues/",
  "admin-site": "/siteadmin/site/",
  "admin-delete": "/siteadmin/delete/?crash_id=" + facts.crash_id,
};

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
  const result = { pages: {}, symbols: {}, keyboard: {}, login: {}, hosts: [], noscript: {}, upload: {} };
  const hosts = new Set();

  async function open(scheme, width, javaScriptEnabled = true) {
    const context = await browser.newContext({
      colorScheme: scheme, viewport: { width, height: 900 }, javaScriptEnabled, bypassCSP: false,
    });
    const page = await context.newPage();
    page.problems = [];
    page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") page.problems.push(m.text()); });
    page.on("pageerror", (e) => page.problems.push(String(e)));
    page.on("request", (r) => { if (!r.url().startsWith("data:")) hosts.add(new URL(r.url()).host); });
    page.on("response", (r) => { if (r.status() >= 500) page.problems.push(r.status() + " " + r.url()); });
    return page;
  }

  // Each page into `into`: console, accessibility, what sticks out, a picture.
  async function look(page, pages, scheme, width, into) {
    for (const [name, url] of Object.entries(pages)) {
      page.problems.length = 0;
      const answer = await page.goto(base + url, { waitUntil: "networkidle" });
      if (shots) await page.screenshot({ path: path.join(shots, `${name}-${scheme}-${width}.png`), fullPage: width === 1300 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      // The page's own policy forbids injected scripts; evaluate() runs outside of it.
      await page.evaluate(axe);
      const report = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      // Cells of columns that can be sorted whose text is not what they are sorted by: numbers with
      // an arrow or a unit, dates in words.
      const unsortable = await page.evaluate(() => [...document.querySelectorAll("table[data-sortable]")].flatMap((table) =>
        [...table.tHead.rows[0].cells].flatMap((heading, column) => [...table.tBodies[0].rows].flatMap((row) => {
          const cell = row.cells[column], text = (cell?.dataset.value ?? cell?.textContent ?? "").trim();
          const isNumber = !Number.isNaN(Number(text.split(/\s/)[0].replace(/[,%+]/g, "").replace("−", "-")));
          const isWord = heading.classList.contains("num") ? !isNumber && !/^\d{4}-\d\d-\d\d/.test(text)
            : /^([▲▼+−-]?\s*[\d.,]+\s*(B|[KMGT]i?B|ms|s|min|h|days?|hours?|minutes?|seconds?)|\d{1,2} [A-Z][a-z]{2,8}( \d{4})?)$/.test(text);
          return isWord ? [`${heading.textContent.trim()}: ${text}`] : [];
        }))));
      into[`${name} ${scheme} ${width}`] = {
        unsortable,
        status: answer.status(), problems: [...page.problems], overflow,
        violations: report.violations.map((v) => `${v.impact} ${v.id}: ${v.nodes[0].target.join(" ")} ${v.nodes[0].failureSummary || ""}`.slice(0, 300)),
      };
    }
  }

  // Every page, light and dark, wide and narrow: no console errors, no accessibility violations,
  // nothing that sticks out of a narrow window.
  for (const [scheme, width] of [["light", 1300], ["dark", 1300], ["light", 400]]) {
    const page = await open(scheme, width);
    await look(page, PAGES, scheme, width, result.pages);
    await page.context().close();
  }

  // The pages of the symbol server and of administrators, as a superuser sees them.
  for (const [scheme, width] of [["light", 1300], ["dark", 1300], ["light", 400]]) {
    const page = await open(scheme, width);
    await page.goto(base + "/symbols/login/");
    await page.fill('input[name="email"]', facts.admin);
    await page.fill('input[type="password"]', facts.password);
    await page.locator('main button[type="submit"]').click();
    await page.waitForLoadState("networkidle");
    await look(page, SYMBOL_PAGES, scheme, width, result.symbols);
    await page.context().close();
  }

  // An archive is sent by the form alone: no script, first something else, then the archive.
  {
    const page = await open("light", 1300, false);
    await page.goto(base + "/symbols/login/?next=%2Fsymbols%2Fuploads%2Fupload");
    await page.fill('input[name="email"]', facts.admin);
    await page.fill('input[type="password"]', facts.password);
    await page.locator('main button[type="submit"]').click();
    for (const [name, content] of [["refused", Buffer.from("no archive")], ["stored", Buffer.from(facts.archive, "base64")]]) {
      await page.setInputFiles('input[name="archive"]', { name: "by-hand.zip", mimeType: "application/zip", buffer: content });
      await page.locator('main button[type="submit"]').click();
      await page.waitForLoadState("networkidle");
      if (shots) await page.screenshot({ path: path.join(shots, `symbols-form-${name}.png`) });
      result.upload[name] = { path: new URL(page.url()).pathname, text: await page.locator("main").innerText() };
    }
    await page.context().close();
  }

  // By keyboard alone: the first Tab reaches the skip link; the quick search takes an id.
  {
    const page = await open("light", 1300);
    await page.goto(base + "/");
    await page.keyboard.press("Tab");
    result.keyboard.first = await page.evaluate(() => document.activeElement.textContent.trim());
    for (let i = 0; i < 40; i++) {
      if (await page.evaluate(() => document.activeElement.name === "query")) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.type(facts.crash_id);
    await Promise.all([page.waitForURL(/report\/index/), page.keyboard.press("Enter")]);
    result.keyboard.url = page.url();
    // The stack is copied, a module found by its name, a frame and an old name of a tab opened.
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Markdown" }).first().click();
    result.report = { markdown: await page.evaluate(() => navigator.clipboard.readText()) };
    await page.goto(base + "/report/index/" + facts.crash_id + "#modules");
    await page.getByLabel("Filter modules").fill("LIBC");
    result.report.modules = await page.locator("#loaded-modules tbody tr:visible").allTextContents();
    await page.goto(base + "/report/index/" + facts.crash_id + "?#thread-0-0");
    result.report.frame = await page.locator("#thread-0-0").isVisible();
    await page.context().close();
  }

  // Without scripts: the search form and the report can be read and used.
  {
    const page = await open("light", 1300, false);
    await page.goto(base + "/search/?product=Crashme");
    result.noscript.search = await page.locator("body").innerText();
    await page.goto(base + "/report/index/" + facts.crash_id);
    result.noscript.report = await page.locator("body").innerText();
    await page.context().close();
  }

  // Log in, see who one is, log out.
  {
    const page = await open("light", 1300);
    await page.goto(base + "/login/");
    await page.fill('input[name="email"]', facts.email);
    await page.fill('input[type="password"]', "wrong");
    await page.locator('main button[type="submit"]').click();
    result.login.wrong = await page.locator("main").innerText();
    await page.fill('input[name="email"]', facts.email);
    await page.fill('input[type="password"]', facts.password);
    await page.locator('main button[type="submit"]').click();
    await page.waitForLoadState("networkidle");
    result.login.right = await page.locator("header").innerText();
    await page.goto(base + "/profile/");
    result.login.profile = await page.locator("main").innerText();
    if (shots) await page.screenshot({ path: path.join(shots, "profile.png") });
    await page.goto(base + "/report/index/" + facts.crash_id);
    result.login.report = await page.locator("main").innerText();
    result.login.overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (shots) await page.screenshot({ path: path.join(shots, "report-protected.png"), fullPage: true });
    const out = page.locator('form[action*="logout"] button');
    if (!(await out.isVisible())) await page.locator("header details summary").last().click();
    await out.click();
    await page.waitForLoadState("networkidle");
    await page.goto(base + "/profile/");
    result.login.out = page.url();
    result.login.problems = page.problems;
    await page.context().close();
  }
  result.hosts = [...hosts];
  await browser.close();
  console.log(JSON.stringify(result));
}

main().catch((e) => { console.error(e); process.exit(1); });
