"use strict";
// The language: of the address (#ko), else as chosen before, else the browser's.

const LANGUAGES = ["en", "ko"];
const root = document.documentElement, switcher = document.getElementById("language");
const axis = document.getElementById("axis"), budget = document.getElementById("budget");

function stored(language) {
  try {
    if (language) localStorage.setItem("lecture-language", language);
    return LANGUAGES.find(own => own === localStorage.getItem("lecture-language"));
  } catch {
    return null;  // a browser may keep nothing for files
  }
}

function speak(language) {
  root.lang = language;
  document.title = document.querySelector("title").dataset[language];
  switcher.textContent = switcher.dataset[language];
  switcher.lang = language === "en" ? "ko" : "en";
  for (const own of document.querySelectorAll("[aria-label][data-ko]")) {
    own.setAttribute("aria-label", own.dataset[language]);
  }
  for (const option of document.querySelectorAll("option[data-en]")) {
    option.textContent = option.dataset[language];
    if (axis.contains(option)) {
      const axes = Object.values(data.costs).map(chart => chart.axes[option.value]);
      for (const own of axes.filter(Boolean)) own.title = option.textContent;
    }
  }
  if (axis) drawAll();
}

if (axis) data.cost = Object.values(data.costs)[0];  // not a copy, which would keep its titles
const asked = LANGUAGES.find(language => location.hash === `#${language}`);
const usual = navigator.language.startsWith("ko") ? "ko" : "en";
speak(asked ?? stored() ?? usual);
switcher.addEventListener("click", () => {
  const other = root.lang === "en" ? "ko" : "en";
  stored(other);
  history.replaceState(null, "", `#${other}`);
  speak(other);
});

budget?.addEventListener("change", event => {
  data.cost = data.costs[event.target.value];
  drawAll();
});

for (const details of document.querySelectorAll("details")) {
  addEventListener("beforeprint", () => details.open = true);
}
