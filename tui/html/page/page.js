"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("js");

  // The page follows the system until somebody chooses otherwise.
  var theme = document.querySelector("button.theme");
  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function name() { theme.textContent = isDark() ? "Light" : "Dark"; }
  theme.addEventListener("click", function () {
    root.setAttribute("data-theme", isDark() ? "light" : "dark");
    name();
  });
  name();

  // Rows are sorted by data-value; what has none comes last; equal ones keep the order of the protocol.
  document.querySelectorAll("table.sorted").forEach(function (table) {
    var groups = Array.from(table.tBodies);
    table.querySelectorAll("thead th").forEach(function (head, column) {
      var button = head.querySelector("button");
      if (!button) { return; }
      button.addEventListener("click", function () {
        var before = head.getAttribute("aria-sort");
        var next = before === "descending" ? "ascending" : before === "ascending" ? "none" : "descending";
        table.querySelectorAll("thead th[aria-sort]").forEach(function (other) { other.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", next);
        var keyed = groups.map(function (group, place) {
          var cell = group.rows[0].cells[column];
          var text = cell.getAttribute("data-value");
          return { group: group, place: place, text: text, number: text === "" ? NaN : Number(text) };
        });
        var sign = next === "descending" ? -1 : 1;
        if (next !== "none") {
          keyed.sort(function (a, b) {
            if (a.text === "" || b.text === "") { return (a.text === "") - (b.text === "") || a.place - b.place; }
            var apart = isNaN(a.number) || isNaN(b.number)
              ? (a.text < b.text ? -1 : a.text > b.text ? 1 : 0) : a.number - b.number;
            return sign * apart || a.place - b.place;
          });
        }
        keyed.forEach(function (one) { table.appendChild(one.group); });
      });
    });
  });

  // An entry of a legend leaves its arm alone in the pictures below it.
  document.querySelectorAll(".legend[data-for]").forEach(function (legend) {
    var pictures = document.getElementById(legend.getAttribute("data-for"));
    var rule = null;
    function pick(number) {
      pictures.querySelectorAll(".series").forEach(function (one) {
        one.style.opacity = number === null || one.classList.contains("s" + number) ? "1" : "";
      });
      pictures.classList.toggle("picking", number !== null);
    }
    legend.querySelectorAll("button").forEach(function (button) {
      var number = button.getAttribute("data-arm");
      function leave() { if (rule === null) { pick(null); } else { pick(rule); } }
      button.addEventListener("mouseenter", function () { pick(number); });
      button.addEventListener("mouseleave", leave);
      button.addEventListener("click", function () {
        rule = rule === number ? null : number;
        legend.querySelectorAll("button").forEach(function (other) {
          other.setAttribute("aria-pressed", String(rule === other.getAttribute("data-arm")));
        });
        leave();
      });
    });
  });

  document.querySelectorAll(".command button").forEach(function (button) {
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("code").textContent;
      if (navigator.clipboard) {
        navigator.clipboard.writeText(text).then(function () { button.textContent = "Copied"; }, function () {});
      }
    });
  });

  // What is folded is printed too.
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () { closed.forEach(function (one) { one.open = false; }); });
})();
