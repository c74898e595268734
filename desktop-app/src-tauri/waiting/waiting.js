// Says where we look and for how long; the program around this page does the looking.
const ADVICE_AFTER_S = 10;

document.getElementById("agent").textContent = decodeURIComponent(location.hash.slice(1));

let seconds = 0;
setInterval(() => {
    seconds += 1;
    document.getElementById("since").textContent = `Looking for ${seconds} s`;
    if (seconds >= ADVICE_AFTER_S) document.getElementById("advice").hidden = false;
}, 1000);
