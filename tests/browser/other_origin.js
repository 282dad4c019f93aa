// Asks for symbolication from a page of another origin and prints what the page was given, as JSON.
//
//     node other_origin.js PAGE_URL REQUESTS_JSON
//
// REQUESTS: [{"url", "options" of fetch}]; an answer is {"status", "type", "body"} or {"blocked"}.
"use strict";
const { chromium } = require("playwright-core");

const [pageUrl, requestsText] = process.argv.slice(2);

// Runs in the page; a browser tells scripts nothing of an answer that its rules keep from them.
async function ask(requests) {
  const answers = [];
  for (const { url, options } of requests) {
    try {
      const answer = await fetch(url, options);
      answers.push({ status: answer.status, type: answer.headers.get("Content-Type"), body: await answer.text() });
    } catch (e) {
      answers.push({ blocked: String(e) });
    }
  }
  return answers;
}

async function main() {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu",
    "--disable-background-networking"] });
  const page = await browser.newPage();
  await page.goto(pageUrl);
  console.log(JSON.stringify(await page.evaluate(ask, JSON.parse(requestsText))));
  await browser.close();
}

main().catch((e) => { console.error(e); process.exit(1); });
