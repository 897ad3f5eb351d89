"use strict";
// Tables that sort by a click on a column's head, and the two layers of an image with a divider.

const cellOf = (row, column) => row.cells[column].dataset.sort;

function sortBy(button) {
  const head = button.closest("th");
  const first = head.dataset.first ?? "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const [left, right] = [cellOf(a, head.cellIndex), cellOf(b, head.cellIndex)];
    if (left === "" || right === "") return (left === "") - (right === "");  // unknown ones last
    const difference = Number(left) - Number(right);
    return sign * (Number.isNaN(difference) ? left.localeCompare(right) : difference);
  };
  for (const body of head.closest("table").querySelectorAll("tbody.sortable")) {
    body.append(...[...body.rows].sort(compare));
  }
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button));
}

const viewer = document.getElementById("viewer");
if (viewer) {
  const [image, left, right] = ["image", "left", "right"].map(id => document.getElementById(id));
  const stage = viewer.querySelector(".stage"), divider = viewer.querySelector("input");
  const sides = {left, right};

  // The pictures are in the sheet below, once each.
  const show = () => {
    for (const [side, choice] of Object.entries(sides)) {
      const picture = document.getElementById(`${image.value}-${choice.value}`);
      const target = viewer.querySelector(`img.${side}`);
      target.hidden = !picture;
      if (picture) [target.src, target.alt] = [picture.src, picture.alt];
      const wrong = picture?.dataset.wrong ? `, ${picture.dataset.wrong} % wrong` : "";
      const name = choice.selectedOptions[0].textContent;
      viewer.querySelector(`.label.${side}`).textContent = picture ? name + wrong : `${name}: not kept`;
    }
  };
  const slide = () => stage.style.setProperty("--x", `${divider.value}%`);
  const drag = event => {
    const area = stage.getBoundingClientRect();
    divider.value = 100 * (event.clientX - area.left) / area.width;
    slide();
  };
  stage.addEventListener("pointerdown", event => {
    event.preventDefault();  // else the browser drags the picture
    stage.setPointerCapture(event.pointerId);
    divider.focus({preventScroll: true});
    drag(event);
  });
  stage.addEventListener("pointermove", event => stage.hasPointerCapture(event.pointerId) && drag(event));
  divider.addEventListener("input", slide);
  for (const choice of [image, left, right]) choice.addEventListener("change", show);
  for (const button of document.querySelectorAll(".sheet button")) {
    button.addEventListener("click", () => {
      [image.value, right.value] = [button.dataset.image, button.dataset.layer];
      show();
      viewer.scrollIntoView({block: "nearest"});
    });
  }
  show();
  slide();
}
