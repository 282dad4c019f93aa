// The "Try it" forms of the API page show the answer in place.
export default function api(forms) {
  for (const form of forms) {
    const result = form.querySelector("[data-api-result]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
      result.hidden = false;
      result.textContent = "…";
      const answer = await fetch(`${form.getAttribute("action")}?${query}`);
      const text = await answer.text();
      try {
        result.textContent = `${answer.status}\n${JSON.stringify(JSON.parse(text), null, 2)}`;
      } catch {
        result.textContent = `${answer.status}\n${text.slice(0, 20000)}`;
      }
    });
  }
}
