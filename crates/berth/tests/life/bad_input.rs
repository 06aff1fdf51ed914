//! What makes no sense is refused in one line, and nothing is made.

use crate::support::World;

#[test]
fn it_is_said_in_one_line() {
    let world = World::new();
    let refused = |line: &str| world.fails(125, &format!("create {line} host true"));
    insta::assert_snapshot!(refused("--rm --restart always"), @"berth: --rm removes the container at its end, --restart always starts it again; leave one of them out");
    insta::assert_snapshot!(refused("--restart sometimes"), @r#"berth: invalid value "sometimes" for --restart: give no, on-failure[:NUMBER], always or unless-stopped"#);
    insta::assert_snapshot!(refused("--restart always:3"), @r#"berth: invalid value "always:3" for --restart: a number of restarts goes with on-failure alone; leave it out"#);
    insta::assert_snapshot!(refused("--restart on-failure:-1"), @r#"berth: invalid value "on-failure:-1" for --restart: give a whole number of restarts after the colon, as in on-failure:3"#);
    insta::assert_snapshot!(refused("--no-healthcheck --health-cmd true"), @"berth: --no-healthcheck conflicts with the other --health flags; leave out one side");
    insta::assert_snapshot!(refused("--health-cmd true --health-interval 10us"), @"berth: the interval of the health check is shorter than 1ms; give 1ms or more, or 0 for the default");
    insta::assert_snapshot!(refused("--health-cmd true --health-timeout soon"), @r#"berth: invalid value "soon" for --health-timeout: give a duration with units h, m, s, ms, us or ns, such as 1h30m"#);
    insta::assert_snapshot!(refused("--health-cmd true --health-retries -1"), @r#"berth: invalid value "-1" for --health-retries: give a whole number of failures from 0 up; 0 is the default"#);
    insta::assert_snapshot!(refused("--health-on-failure panic"), @r#"berth: invalid value "panic" for --health-on-failure: give none, kill, stop or restart"#);
    insta::assert_snapshot!(world.fails(1, "restart nobody"), @r#"berth: no such container: nobody; "berth ps -a" lists all containers"#);
    assert!(world.berth.ids().is_empty());
}

#[test]
fn rm_and_restart_no_go_together() {
    let world = World::new();
    world.ok("run --rm --restart no host true");
    assert!(world.berth.ids().is_empty());
}
