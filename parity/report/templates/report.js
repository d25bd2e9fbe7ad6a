"use strict";
(() => {
  const lives = Array.from(document.querySelectorAll("details.life"));
  const openMeant = () => {
    const meant = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (meant instanceof HTMLDetailsElement) {
      meant.open = true;
      meant.scrollIntoView();
    }
  };
  const button = document.getElementById("all-lives");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const open = lives.some((life) => !life.open);
      lives.forEach((life) => { life.open = open; });
      button.textContent = open ? "Close all" : "Open all";
    });
  }
  window.addEventListener("hashchange", openMeant);
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
  });
  openMeant();
})();
