//! docs/map-watch.svg: the screen as a picture, written by this test.
//!
//! `BERTH_WRITE_DOCS=1` writes it, otherwise a difference fails.

use std::fmt::Write as _;
use std::path::Path;

use berth_map::live::Exit;
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::style::{Color, Modifier};

use super::View;
use super::fake::{Fake, events, exited, forked};
use crate::tui::input::Key;

/// Size of a cell in the picture.
const CELL: (f64, f64) = (8.4, 18.0);
const PAPER: &str = "#16181d";
const INK: &str = "#d5d8de";

#[test]
fn the_picture_of_the_docs_is_what_the_screen_shows() {
    let picture = draw(&scene().buffer());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/map-watch.svg");
    if std::env::var_os("BERTH_WRITE_DOCS").is_some() {
        std::fs::write(&path, &picture).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == picture,
        "docs/map-watch.svg is not what the screen shows; BERTH_WRITE_DOCS=1 writes it"
    );
}

/// Containers, something that begins and ends, and a search that found three.
fn scene() -> View {
    let mut fake = Fake::rich();
    let mut view = View::of(&mut fake, 124, 30);
    view.theme.color = true;
    for round in 0..40 {
        let ms = 1000 + round * 1300;
        let first = 20_000 + u32::try_from(round).unwrap() * 10;
        let all = (0..1 + (first / 7) % 5).flat_map(|n| {
            let birth = forked(ms, 1589, &[first + n, first + n], "cgi");
            [birth, exited(ms + 300, first + n, Exit::Code(0))]
        });
        view.hear(events(all.collect()));
    }
    view.hear(fake.frame(58_000));
    view.hear(events(vec![
        exited(59_000, 1800, Exit::Signal(9)),
        forked(59_500, 1589, &[30_411, 57], "nginx worker"),
        forked(59_600, 5492, &[30_412, 211], "logrotate"),
        exited(59_650, 30_412, Exit::Code(1)),
    ]));
    view.keys("/29");
    view.press(Key::Enter);
    view
}

/// A grid of cells as SVG: each run of cells of one style is a text of exactly their width.
fn draw(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(buffer.area.width), f64::from(buffer.area.height));
    let (w, h) = (width * CELL.0 + 24.0, height * CELL.1 + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', monospace\" font-size=\"14\">\n\
         <title>berth map --watch</title>\n\
         <rect width=\"{w:.0}\" height=\"{h:.0}\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..buffer.area.height {
        let row: Vec<&Cell> = (0..buffer.area.width).map(|x| &buffer[(x, y)]).collect();
        let mut x = 0;
        for run in row.chunk_by(|a, b| style(a) == style(b)) {
            draw_run(&mut svg, run, x, usize::from(y));
            x += run.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn style(cell: &Cell) -> (Color, Modifier) {
    (cell.fg, cell.modifier)
}

fn draw_run(svg: &mut String, run: &[&Cell], x: usize, y: usize) {
    let text: String = run.iter().map(|cell| cell.symbol()).collect();
    let (color, modifier) = style(run[0]);
    let (left, top) = (12.0 + cells(x) * CELL.0, 12.0 + cells(y) * CELL.1);
    let width = cells(run.len()) * CELL.0;
    let mut fill = hex(color);
    if modifier.contains(Modifier::REVERSED) {
        let h = CELL.1;
        writeln!(svg, "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{h}\" fill=\"{fill}\"/>").unwrap();
        fill = PAPER.to_owned();
    }
    if text.trim().is_empty() {
        return;
    }
    let mut more = String::new();
    for (flag, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::DIM, " opacity=\"0.6\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
    ] {
        if modifier.contains(flag) {
            more.push_str(attribute);
        }
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let base = top + 13.5;
    writeln!(svg, "<text x=\"{left:.1}\" y=\"{base:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" fill=\"{fill}\"{more}>{text}</text>").unwrap();
}

fn cells(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// The palette of 256: a cube of colours, then greys.
fn hex(color: Color) -> String {
    let Color::Indexed(place) = color else {
        return INK.to_owned();
    };
    let step = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
    match place {
        16..=231 => {
            let n = place - 16;
            let (r, g, b) = (step(n / 36), step(n / 6 % 6), step(n % 6));
            format!("#{r:02x}{g:02x}{b:02x}")
        }
        232.. => {
            let grey = 8 + (place - 232) * 10;
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
        _ => INK.to_owned(),
    }
}
