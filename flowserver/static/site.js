/* flowserver: which pages a visitor sees. Nothing is kept or sent before it may be. */
(function (w, d, c) {
"use strict";
if (w.flowserver) return;
var n = navigator, l = location, h = history, no = function () {}, to = c.o + "/t/" + c.k, on, begun, last, page, token, secs, me;
var api = w.flowserver = {track: no, identify: no, consent: no};
function calm(f) { return function () { try { return f.apply(this, arguments) } catch (e) {} } }
var get = calm(function (k) { return w.localStorage.getItem(k) });
var put = calm(function (k, v) { v ? w.localStorage.setItem(k, v) : w.localStorage.removeItem(k) });
function id() {
return [].map.call(crypto.getRandomValues(new Uint8Array(16)), function (b) { return (b + 256).toString(16).slice(1) }).join("")
}
function send(m) {
if (!on) return;
m.v = me;
m = JSON.stringify(m);
n.sendBeacon && n.sendBeacon(to, m) || fetch(to, {method: "POST", body: m, mode: "no-cors", credentials: "omit", keepalive: true}).catch(no)
}
/* Who a mail's link leads here: out of the address, so that nobody passes it on. */
calm(function () {
token = new URL(l).searchParams.get("fs_id");
if (token) h.replaceState(h.state, "", l.href.replace(/([?&])fs_id=[^&#]*(&?)/, function (x, a, b) { return b && a }))
})();
if (n.doNotTrack == 1 || w.doNotTrack == 1 || n.globalPrivacyControl) return;
function here() { return l.href.split("#")[0] }
var view = calm(function () {
if (!on || here() === last) return;
var m = {t: "view", p: page = id(), u: last = here(), r: d.referrer};
if (token) m.i = token;
token = secs = 0;
send(m)
});
function soon() { setTimeout(view) }
var begin = calm(function () {
on = 1;
me = me || get("fs_visitor");
if (!/^[0-9a-f]{32}$/.test(me)) me = id();
put("fs_visitor", me);
view();
if (begun) return;
begun = 1;
["pushState", "replaceState"].forEach(function (k) {
var f = h[k];
h[k] = function () { soon(); return f.apply(this, arguments) }
});
w.addEventListener("popstate", soon);
w.addEventListener("pageshow", function (e) { if (e.persisted) { last = 0; soon() } });
if (c.s[0]) setInterval(calm(function () {
if (page && !d.hidden && c.s.indexOf(++secs) >= 0) send({t: "stay", p: page, s: secs})
}), 1000);
d.addEventListener("submit", calm(function (e) {
var f = e.target, i;
if (!on || f.getAttribute("action").indexOf(c.o + "/f/")) return;
i = f.querySelector("[name=fs-visitor]") || f.appendChild(d.createElement("input"));
i.type = "hidden"; i.name = "fs-visitor"; i.value = c.k + "." + me
}), true)
});
api.track = calm(function (k, v) { send({t: "event", p: id(), n: k, d: v, u: here()}) });
api.identify = calm(function (t) { on ? send({t: "identify", i: t}) : token = t });
api.consent = calm(function (yes) {
put("fs_consent", yes ? "1" : c.c ? 0 : "0");
if (yes) return begin();
on = last = me = 0;
put("fs_visitor")
});
var said = get("fs_consent");
if (c.c ? said == 1 : said !== "0") d.prerendering ? d.addEventListener("prerenderingchange", begin) : begin()
})(window, document, {/*what the server knows*/});
