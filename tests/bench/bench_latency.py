"""Time from the end of the POST to the crash being found by /api/SuperSearch/, idle system, 200 posts."""
import time

from sample import Installation, add_symbols, percentile, real_dumps

POSTS = 200

with Installation() as datil:
    add_symbols(datil)
    dumps = real_dumps(datil)
    found, posts, polls = [], [], []
    for i in range(POSTS):
        start = time.monotonic()
        crash_id = datil.post({"CrashTime": str(1700000000 + i)}, dumps[i % len(dumps)])
        posted = time.monotonic()
        while True:
            poll = time.monotonic()
            answer = datil.get("/api/SuperSearch/", {"uuid": crash_id, "_facets_size": 0, "_columns": "uuid"})
            polls.append(time.monotonic() - poll)
            if answer.json["total"] == 1:
                break
        posts.append(posted - start)
        found.append(time.monotonic() - posted)
    base = []
    for _ in range(POSTS):
        start = time.monotonic()
        datil.get("/__lbheartbeat__")
        base.append(time.monotonic() - start)

print(f"dump sizes: {min(map(len, dumps)) // 1024} to {max(map(len, dumps)) // 1024} KiB")
for label, values in (("POST /submit", posts), ("end of POST -> found by Super Search", found),
                      ("one Super Search request while polling", polls), ("baseline: GET /__lbheartbeat__", base)):
    print(f"{label:42} p50 {percentile(values, 50) * 1000:8.2f} ms   p95 {percentile(values, 95) * 1000:8.2f} ms")
print(f"found / baseline request: {percentile(found, 50) / percentile(base, 50):.1f} (p50)")
