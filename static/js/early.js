// Runs before the page is painted: styles under .js apply only where scripts work.
document.documentElement.classList.add("js");
