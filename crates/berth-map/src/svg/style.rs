//! The colours of the picture, light and dark.

/// The style sheet. Every rule is below the picture's own class, so that a page that holds the
/// picture keeps its looks.
pub(super) const SHEET: &str = "\
.berth-map{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2328;color-scheme:light dark}
.berth-map .bg{fill:#fff}
.berth-map .title{font:600 14px system-ui,sans-serif}
.berth-map .note{font:12px system-ui,sans-serif}
.berth-map .sub{font-weight:400;font-size:12px}
.berth-map .faint{fill:#656d76}
.berth-map .alarm{fill:#cf222e;font-weight:600}
.berth-map .count{font-weight:700}
.berth-map .box{stroke-width:1.5}
.berth-map .pill{fill:#fff;stroke:#d0d7de}
.berth-map .odd .pill{stroke:#cf222e;stroke-dasharray:3 2}
.berth-map .context{opacity:.5}
.berth-map .cell{fill-opacity:.16}
.berth-map .pid{text-anchor:end}
.berth-map .link{fill:none;stroke:#afb8c1}
.berth-map .h{stroke:#8c959f;fill:#8c959f}
.berth-map .t0{stroke:#0969da;fill:#0969da}
.berth-map .t1{stroke:#1a7f37;fill:#1a7f37}
.berth-map .t2{stroke:#8250df;fill:#8250df}
.berth-map .t3{stroke:#bc4c00;fill:#bc4c00}
.berth-map .t4{stroke:#0f766e;fill:#0f766e}
.berth-map .t5{stroke:#bf3989;fill:#bf3989}
.berth-map .cell{stroke:none}
.berth-map .box.h{fill:#fafbfc}
.berth-map .box.t0{fill:#eff5fd}
.berth-map .box.t1{fill:#eff8f1}
.berth-map .box.t2{fill:#f7f2fe}
.berth-map .box.t3{fill:#fdf4ee}
.berth-map .box.t4{fill:#edf8f7}
.berth-map .box.t5{fill:#fdf1f8}
@media (prefers-color-scheme:dark){
.berth-map{fill:#e6edf3}
.berth-map .bg{fill:#0d1117}
.berth-map .faint{fill:#8d96a0}
.berth-map .alarm{fill:#ff7b72}
.berth-map .pill{fill:#161b22;stroke:#3d444d}
.berth-map .odd .pill{stroke:#ff7b72}
.berth-map .cell{fill-opacity:.3}
.berth-map .link{stroke:#4b535d}
.berth-map .h{stroke:#6e7681;fill:#6e7681}
.berth-map .t0{stroke:#4493f8;fill:#4493f8}
.berth-map .t1{stroke:#3fb950;fill:#3fb950}
.berth-map .t2{stroke:#ab7df8;fill:#ab7df8}
.berth-map .t3{stroke:#db8a3c;fill:#db8a3c}
.berth-map .t4{stroke:#2dd4bf;fill:#2dd4bf}
.berth-map .t5{stroke:#db61a2;fill:#db61a2}
.berth-map .cell{stroke:none}
.berth-map .box.h{fill:#11161d}
.berth-map .box.t0{fill:#0f1b2d}
.berth-map .box.t1{fill:#101f17}
.berth-map .box.t2{fill:#1b1630}
.berth-map .box.t3{fill:#24190f}
.berth-map .box.t4{fill:#0c2120}
.berth-map .box.t5{fill:#26141f}
}
";
