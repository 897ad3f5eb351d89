"use strict";
// The language: of the address (#ko), else as chosen before, else the browser's.

const root = document.documentElement, switcher = document.getElementById("language");

function stored(language) {
  try {
    if (language) localStorage.setItem("language", language);
    return localStorage.getItem("language");
  } catch {
    return null;  // a browser may keep nothing for files
  }
}

function speak(language) {
  root.lang = language;
  switcher.textContent = switcher.dataset[language];
  switcher.lang = language === "en" ? "ko" : "en";
  for (const option of document.querySelectorAll("option[data-en]")) {
    option.textContent = option.dataset[language];
    if (option.closest("#axis")) {
      for (const chart of Object.values(data.costs)) chart.axes[option.value].title = option.textContent;
    }
  }
  if (document.getElementById("chart-cost")) drawAll();
}

const asked = ["#en", "#ko"].find(hash => hash === location.hash)?.slice(1);
const usual = navigator.language.startsWith("ko") ? "ko" : "en";
speak(asked ?? stored() ?? usual);
switcher.addEventListener("click", () => {
  const other = root.lang === "en" ? "ko" : "en";
  stored(other);
  history.replaceState(null, "", `#${other}`);
  speak(other);
});

document.getElementById("budget")?.addEventListener("change", event => {
  data.cost = data.costs[event.target.value];
  drawAll();
});

for (const details of document.querySelectorAll("details")) {
  addEventListener("beforeprint", () => details.open = true);
}
