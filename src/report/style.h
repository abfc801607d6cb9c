// The style sheet of the page. No torch here.
#pragma once

#include <string_view>

namespace retort::report {

/// Series colours keep 3:1 contrast against the card in both modes and stay apart for colour-blind
/// readers (after Okabe and Ito, darkened or lightened); dashes tell lines apart without colour.
inline constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;
--ground:#f4f5f7;--card:#fff;--line:#dfe3e8;--text:#1a1f26;--quiet:#56606d;--accent:#0b62a8;
--bar:#cfe3f5;--shade:#0004;--s0:#0b6fb8;--s1:#c8500a;--s2:#07835f;--s3:#a5417c;--s4:#8a6500;--s5:#3d4753}
@media (prefers-color-scheme:dark){:root{
--ground:#101318;--card:#181c23;--line:#2e353f;--text:#e8ebef;--quiet:#a3adba;--accent:#7cc0f5;
--bar:#1d4468;--shade:#fff3;--s0:#5fb4f2;--s1:#ff9450;--s2:#3fcf9f;--s3:#e89bc6;--s4:#edc33d;--s5:#d0d6de}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
-webkit-text-size-adjust:100%;overflow-wrap:break-word}
main{max-width:1120px;margin:0 auto;padding:32px 24px 40px}
h1{font-size:clamp(1.55rem,1.1rem + 2vw,2.3rem);line-height:1.2;letter-spacing:-.015em;margin:0 0 10px}
h2{font-size:1.2rem;line-height:1.3;margin:36px 0 12px}
.summary{font-size:1.1rem;max-width:46em;text-wrap:pretty;margin:0 0 24px}
.merit{display:flex;flex-wrap:wrap;gap:12px;margin:0}
.merit div,.chart,.picture,.table,.heat-map,.notes,details{background:var(--card);
border:1px solid var(--line);border-radius:12px}
.merit div{flex:1 1 220px;display:flex;flex-direction:column-reverse;justify-content:flex-end;padding:14px 16px}
.merit dt{color:var(--quiet);font-size:.85rem;line-height:1.35}
.merit dd{margin:0 0 2px;font-size:1.5rem;line-height:1.25;font-weight:650;white-space:nowrap;font-variant-numeric:tabular-nums}
.merit div:first-child dd{color:var(--accent)}
figure{margin:0;min-width:0}
figcaption{font-weight:600;line-height:1.35}
.pictures{display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start}
.picture{flex:1 1 auto;padding:12px;max-width:100%}
.mat{background:#16191f;border-radius:6px;overflow:hidden}
.picture img{display:block;max-width:100%;height:auto;margin:0 auto;image-rendering:pixelated}
.picture figcaption{margin-top:10px;font-weight:400;font-size:.9rem;color:var(--quiet)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}
.chart{padding:16px 16px 12px;max-width:580px}
.chart>svg{display:block;width:100%;height:auto;margin-top:6px}
.chart text{font-size:12px;fill:var(--quiet);font-variant-numeric:tabular-nums}
.chart .grid{stroke:var(--line)}
.chart .axis,.chart .tick{stroke:var(--quiet)}
.legend{display:flex;flex-wrap:wrap;gap:2px 18px;list-style:none;margin:4px 0 0;padding:0;font-size:.88rem}
.key{width:26px;height:8px;margin-right:7px;vertical-align:middle}
polyline{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
circle{fill:var(--c)}
.bar{stroke:var(--c);stroke-width:1.6}
.back polyline{stroke-width:1.1;opacity:.42}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
.d1 polyline{stroke-dasharray:7 4}.d2 polyline{stroke-dasharray:1.5 4}.d3 polyline{stroke-dasharray:9 4 1.5 4}
.aside{color:var(--quiet);font-size:.85rem;margin:6px 0 0}
.table{margin:0 0 16px;overflow:hidden}
.table figcaption{padding:14px 16px 6px;font-weight:400;color:var(--quiet);font-size:.9rem;line-height:1.45}
.scroll{overflow-x:auto;background:
linear-gradient(to right,var(--card) 40%,transparent) left/36px 100% no-repeat local,
linear-gradient(to left,var(--card) 40%,transparent) right/36px 100% no-repeat local,
linear-gradient(to right,var(--shade),transparent) left/12px 100% no-repeat scroll,
linear-gradient(to left,var(--shade),transparent) right/12px 100% no-repeat scroll}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th,td{padding:8px 12px;text-align:left;white-space:nowrap;border-top:1px solid var(--line)}
thead th{border-top:0;white-space:normal;color:var(--quiet);font-size:.85rem;font-weight:600;vertical-align:bottom}
tbody th{font-weight:400}
.strong>*{font-weight:650}
.n{text-align:right;font-variant-numeric:tabular-nums}
.percent{min-width:130px;background:linear-gradient(to right,var(--bar) var(--v),transparent 0) content-box}
.wide{font-size:.9rem}.wide table{font-size:inherit}
.wide th,.wide td{padding-left:8px;padding-right:8px}.wide thead th{font-size:.8rem}
.wide .percent{min-width:110px}.stack td:not(.n){white-space:normal}
.heat-map{margin:0 0 16px;padding:14px 16px}
.heat-map figcaption{font-weight:400;color:var(--quiet);font-size:.9rem;line-height:1.45;margin-bottom:8px}
.heat-map svg{display:block;width:100%;height:auto}
.heat-map text{font-size:12px;fill:var(--text);font-variant-numeric:tabular-nums}
.heat-map .on{fill:var(--card)}
.heat{fill:var(--accent)}.frame{fill:none;stroke:var(--line)}.own{stroke:var(--s1);stroke-width:2}
.facts th{width:1%;color:var(--quiet)}
.facts td{white-space:normal;overflow-wrap:anywhere}
.facts tr:first-child>*{border-top:0}
.notes{margin:0;padding:14px 20px 14px 36px}
.notes li+li{margin-top:6px}
details{padding:0 16px}
summary{padding:12px 0;font-weight:600;cursor:pointer}
pre{margin:0 -16px;padding:14px 16px;overflow-x:auto;border-top:1px solid var(--line);
font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;tab-size:4}
footer{margin-top:36px;color:var(--quiet);font-size:.85rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:560px){main{padding:20px 14px 28px}h2{margin-top:28px}
.merit{gap:8px}.merit div{flex-basis:40%;padding:11px 12px}.merit dd{font-size:1.2rem}
.picture{padding:8px}.chart{padding:12px 8px 8px}.chart figcaption,.legend{padding:0 6px}
.chart text{font-size:14.5px}th,td{padding:7px 11px}.table figcaption{padding:12px 11px 6px}
.percent{min-width:120px}}
@media (max-width:680px){.stack table,.stack tbody,.stack tr,.stack th,.stack td{display:block}
.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack tr{padding:9px 12px;border-top:1px solid var(--line)}
.stack th,.stack td,.wide th,.wide td{border:0;padding:2px 0;white-space:normal}
.stack td{display:flex;justify-content:space-between;gap:16px;text-align:right}
.stack td:empty{display:none}
.stack td::before{content:attr(data-name);color:var(--quiet);font-weight:400;text-align:left}}
@media print{body{background:none}.merit div,.chart,.picture,.heat-map,tr{break-inside:avoid}}
)css";

}  // namespace retort::report
