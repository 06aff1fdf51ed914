//! A headless Chromium, driven over a pair of pipes (its DevTools protocol: JSON between zero
//! bytes). The shell in between moves the pipes to the descriptors 3 and 4 that Chromium wants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::PATIENCE;

pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    number: u64,
    /// What the page complained of: exceptions, refused sources.
    pub complaints: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// Starts one with an empty page; `None`, and a line that says so, where there is no Chromium.
    pub fn start() -> Option<Self> {
        let programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
        let Some(program) = programs.iter().find(|path| Path::new(path).exists()) else {
            berth_testkit::skip("chromium is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut child = launch(program, folder.path());
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output
                .read_until(0, &mut bytes)
                .is_ok_and(|count| count > 0)
            {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            session: None,
            number: 0,
            complaints: Vec::new(),
            _folder: folder,
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// One command, to its answer.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self.messages.recv_timeout(left);
            let answer = answer.unwrap_or_else(|_| panic!("{method}: no answer"));
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.hear(&answer);
        }
    }

    fn hear(&mut self, event: &Value) {
        let method = event["method"].as_str().unwrap_or("");
        let entry = &event["params"]["entry"];
        // That a server is away, or answers with an error, is what some tests are about.
        let is_network = entry["source"] == "network";
        if method == "Runtime.exceptionThrown" || method == "Log.entryAdded" && !is_network {
            self.complaints.push(event["params"].to_string());
        }
    }

    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.until(
            "the first pills",
            "document.querySelectorAll('.pill').length > 0",
        );
    }

    /// What an expression is in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let request =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", request);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// The texts of an expression that is an array of them.
    pub fn texts(&mut self, expression: &str) -> Vec<String> {
        let all = self.value(expression);
        let all = all
            .as_array()
            .unwrap_or_else(|| panic!("{expression}: {all}"));
        all.iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, what: &str, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")) != true {
            if Instant::now() > deadline {
                let body = self.value("document.body.innerText.slice(0, 2000)");
                panic!("{what}: not in time; {:?}\n{body}", self.complaints);
            }
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// The middle of an element, scrolled to.
    fn middle(&mut self, selector: &str) -> (f64, f64) {
        let place = self.value(&format!(
            "(() => {{ const at = document.querySelector({selector:?}); \
             at.scrollIntoView({{ block: 'center' }}); const r = at.getBoundingClientRect(); \
             return [r.left + r.width / 2, r.top + r.height / 2]; }})()"
        ));
        (place[0].as_f64().unwrap(), place[1].as_f64().unwrap())
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", event);
    }

    pub fn hover(&mut self, selector: &str) {
        let place = self.middle(selector);
        self.mouse("mouseMoved", place);
    }

    /// Clicks an element where it is by then: other programs of the machine start and end, and what
    /// is above it with them. A click that meets something else, since the page moved between the
    /// question and the press, is kept from it and made again.
    pub fn click(&mut self, selector: &str) {
        let deadline = Instant::now() + PATIENCE;
        self.value(AIM);
        loop {
            let place = self.middle(selector);
            self.mouse("mouseMoved", place);
            self.value(&format!("aim.at = {selector:?}, aim.hit = false"));
            self.mouse("mousePressed", place);
            self.mouse("mouseReleased", place);
            if self.value("aim.at = null, aim.hit") == true {
                return;
            }
            assert!(Instant::now() < deadline, "{selector} does not stand still");
        }
    }

    /// A key that is no letter.
    pub fn press(&mut self, key: &str) {
        let text = if key == "Enter" {
            "\r"
        } else if key.len() == 1 {
            key
        } else {
            ""
        };
        let codes = json!({ "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Tab": 9 });
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "text": if kind == "keyDown" { text } else { "" }, "windowsVirtualKeyCode": codes[key].as_u64().unwrap_or(0) });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }
}

/// Lets a click through to what it is aimed at alone, and says whether it came there.
const AIM: &str = "
    window.aim ??= (() => {
        const aim = { at: null, hit: false };
        for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click']) {
            window.addEventListener(kind, event => {
                if (aim.at === null) return;
                if (event.target.closest?.(aim.at)) {
                    aim.hit ||= kind === 'click';
                } else {
                    event.stopImmediatePropagation();
                    event.preventDefault();
                }
            }, true);
        }
        return aim;
    })(), 0";

/// Chromium as a child, its protocol on standard input and output.
fn launch(program: &str, folder: &Path) -> Child {
    Command::new("sh")
        .args([
            "-c",
            "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1",
            "sh",
            program,
        ])
        .args([
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-pipe",
            "--disable-gpu",
        ])
        .args([
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ])
        .args(["--disable-extensions", "--window-size=1400,900"])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
