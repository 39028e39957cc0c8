// The chosen theme, set before anything is painted. Nothing is stored until
// somebody chooses one.
(function () {
  "use strict";
  try {
    const t = localStorage.getItem("netserver-theme");
    if (t === "light" || t === "dark") document.documentElement.dataset.theme = t;
  } catch { /* storage is off: as the system */ }
})();
