//! The picture as a browser renders it: every box has its border, every pill its letters, and
//! light and dark are two pictures.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use berth_map::svg::{self, PictureOptions};
use serde_json::Value;

/// How long the browser may take on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
enum Scheme {
    Light,
    Dark,
}

/// A page that draws the picture to a canvas and writes down what it finds: the colour of the
/// corner, the colour of each box's left border, and the number of pixels in each pill that are
/// neither its ground nor a cell's.
const PAGE: &str = r#"<!DOCTYPE html><meta charset="utf-8">
<meta name="color-scheme" content="light dark"><body><script>
const input = INPUT;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement('canvas');
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const at = (x, y) => Array.from(context.getImageData(x, y, 1, 1).data);
  const light = (d, i) => d[i] * 0.3 + d[i + 1] * 0.59 + d[i + 2] * 0.11;
  const ink = ([x, y, w, h]) => {
    const d = context.getImageData(x, y, w, h).data;
    const ground = light(d, ((h >> 1) * w + 4) * 4);
    let count = 0;
    for (let i = 0; i < d.length; i += 4) count += Math.abs(light(d, i) - ground) > 90;
    return count;
  };
  document.body.textContent = 'FOUND' + JSON.stringify({
    size: [image.width, image.height], corner: at(2, 2),
    borders: input.borders.map(([x, y]) => at(x, y)), ink: input.pills.map(ink),
  }) + 'END';
};
image.onerror = () => { document.body.textContent = 'FOUND{"error":"not an image"}END'; };
image.src = URL.createObjectURL(new Blob([input.svg], {type: 'image/svg+xml'}));
</script>"#;

fn render(browser: &Path, picture: &svg::Picture, text: &str, scheme: Scheme) -> Value {
    let whole = |x: f64| x.round();
    let borders = picture.panels.iter().map(|panel| {
        let rect = panel.rect;
        // The border is a pixel and a half wide, half of it inside.
        [whole(rect.x), whole(rect.y + rect.height / 2.0)]
    });
    let pills = picture.pills.iter().map(|pill| {
        let rect = pill.rect;
        // Without the border: letters alone.
        [
            rect.x + 3.0,
            rect.y + 2.0,
            rect.width - 12.0,
            rect.height - 4.0,
        ]
        .map(whole)
    });
    let input = serde_json::json!({
        "svg": text,
        "borders": borders.collect::<Vec<_>>(),
        "pills": pills.collect::<Vec<_>>(),
    });
    // In a script, "</" would end it.
    let input = input.to_string().replace("</", "<\\/");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, PAGE.replace("INPUT", &input)).unwrap();
    let found = run(browser, folder.path(), &page, scheme);
    let start = found.rfind("FOUND").unwrap() + 5;
    let end = start + found[start..].find("END").unwrap();
    serde_json::from_str(&found[start..end].replace("&quot;", "\"")).unwrap()
}

fn run(browser: &Path, folder: &Path, page: &Path, scheme: Scheme) -> String {
    let output = folder.join("output");
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .args([
            "--disable-dev-shm-usage",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .env("HOME", folder);
    if matches!(scheme, Scheme::Dark) {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    let mut child = command
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the browser did not end");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(status.success(), "{status}");
    std::fs::read_to_string(output).unwrap()
}

fn browser() -> Option<&'static Path> {
    let found = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    found.into_iter().map(Path::new).find(|path| path.exists())
}

fn lightness(pixel: &Value) -> f64 {
    let channel = |at: usize| pixel[at].as_f64().unwrap();
    channel(0) * 0.3 + channel(1) * 0.59 + channel(2) * 0.11
}

#[test]
fn a_browser_shows_every_box_and_every_name_in_light_and_dark() {
    let Some(browser) = browser() else {
        berth_testkit::skip("chromium is not installed");
        return;
    };
    for world in [rich::sketch(), rich::crowded(2000, 40)] {
        let options = PictureOptions::default();
        let picture = svg::layout(&world, &options);
        let text = svg::write(&world, &options);
        for scheme in [Scheme::Light, Scheme::Dark] {
            let found = render(browser, &picture, &text, scheme);
            for (at, wanted) in [picture.size.width, picture.size.height].iter().enumerate() {
                let size = found["size"][at].as_f64().unwrap();
                assert!((size - wanted).abs() < 1.0, "{size} {wanted}");
            }
            let ground = lightness(&found["corner"]);
            match scheme {
                Scheme::Light => assert!(ground > 240.0, "{ground}"),
                Scheme::Dark => assert!(ground < 40.0, "{ground}"),
            }
            let borders = found["borders"].as_array().unwrap();
            assert_eq!(borders.len(), picture.panels.len());
            for (border, panel) in borders.iter().zip(&picture.panels) {
                let contrast = (lightness(border) - ground).abs();
                assert!(contrast > 40.0, "{panel:?}: {border}");
            }
            let ink = found["ink"].as_array().unwrap();
            assert_eq!(ink.len(), picture.pills.len());
            for (ink, pill) in ink.iter().zip(&picture.pills) {
                assert!(ink.as_u64().unwrap() > 15, "{pill:?}: {ink}");
            }
        }
    }
}
