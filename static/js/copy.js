// Buttons that copy the text or value of another element.
export default function copy(buttons) {
  if (!navigator.clipboard) return;
  for (const button of buttons) {
    const label = button.innerHTML;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.innerHTML = label), 1500);
    });
  }
}
