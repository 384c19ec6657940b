(function () {
  "use strict";
  var table = document.querySelector("table.costs"), field = document.getElementById("requests");
  if (!table || !field) return;
  var wrap = document.getElementById("chooser"), row = document.getElementById("yours"), lang = document.documentElement.lang;
  var host = table.querySelector("[data-host]").dataset;
  function shown(usd) {
    var digits = usd >= 100 ? 0 : 2, form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    var amount = usd.toLocaleString("en", usd >= 1 || usd === 0 ? form : { maximumSignificantDigits: 2 });
    return lang.indexOf("zh") === 0 ? amount + " 美元" : "$" + amount;
  }
  function update() {
    var n = Math.max(0, Math.min(1e12, Number(field.value) || 0));
    var cores = Math.max(1, Math.ceil(n / 1000 * Number(host.cpu) / 86400 / Number(host.busy)));
    row.cells[0].textContent = n.toLocaleString("en");
    row.cells[1].textContent = shown(cores * Number(host.month) + n * 30 / 1000 * Number(host.extra));
    table.querySelectorAll("thead [data-usd]").forEach(function (head, i) {
      row.cells[i + 2].textContent = shown(n * 30 / 1000 * Number(head.dataset.usd));
    });
    row.hidden = false;
  }
  wrap.hidden = false;
  field.addEventListener("input", update);
  update();
})();
