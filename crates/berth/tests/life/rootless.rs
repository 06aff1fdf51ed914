//! The same for a user without root.

use crate::cli::eventually;
use crate::user::{Ids, User};

#[test]
fn a_user_has_restarts_and_probes() {
    let Some(user) = User::new(Ids::One) else {
        return;
    };
    let line = |line: &str| user.line(line);
    let field = |name: &str, field: &str| line(&format!("inspect -f {{{{{field}}}}} {name}"));
    line("run -d --name f --net none --restart on-failure:2 host false");
    eventually("two restarts", || {
        field("f", ".RestartCount") == "2" && field("f", ".State.Status") == "exited"
    });
    let probed = "--tmpfs /tmp --health-interval 50ms --health-retries 1 --health-on-failure kill";
    let words = format!("run -d --name h --net none --restart always {probed} --health-cmd");
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend(["test ! -e /tmp/ill", "host", "sleep", "1000"]);
    user.ok(&words);
    eventually("health", || field("h", ".State.Health.Status") == "healthy");
    line("exec h touch /tmp/ill");
    eventually("its restart", || {
        field("h", ".RestartCount") == "1" && field("h", ".State.Status") == "running"
    });
    line("restart -t 0 h");
    line("stop -t 0 h");
    line("system restore");
    assert_eq!(field("h", ".State.Status"), "exited");
    line("rm f h");
}
