//! Somebody takes the rules of the packet filter away.

use rustix::process::{Signal, kill_process};

use crate::ports::{ask, serve};
use crate::world::World;

fn ruleset(world: &World) -> String {
    world.host("nft list ruleset")
}

/// Ends the process that looks after the rules.
fn kill_guard(world: &World) {
    world.wait("the process that looks after the rules", || {
        world.resolver().is_some()
    });
    kill_process(world.resolver().unwrap(), Signal::KILL).unwrap();
    world.wait("its end", || world.resolver().is_none());
}

#[test]
fn rules_that_are_taken_away_come_back_by_themselves() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    let whole = ruleset(&world);
    let table = whole.split_whitespace().nth(2).unwrap().to_owned();
    for damage in [
        "flush ruleset".to_owned(),
        "flush ruleset".to_owned(),
        format!("delete table inet {table}"),
        format!("flush table inet {table}"),
        format!("flush chain inet {table} published"),
    ] {
        world.host(&format!("nft '{damage}'"));
        world.wait(&damage, || ruleset(&world) == whole);
        assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web", "{damage}");
    }
    let log = std::fs::read_to_string(world.berth.path("state/packets.log")).unwrap();
    assert_eq!(log.lines().count(), 5, "{log}");
    assert!(log.contains("last taken by nft ("), "{log}");
    // The process ends with the last container that needs it.
    world.ok(&["rm", "-f", "web"]);
    world.wait("its end", || world.resolver().is_none());
}

#[test]
fn containers_on_the_default_network_are_looked_after_too() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &[]);
    assert_eq!(ask(&world, "10.210.0.2:80").unwrap(), "web");
    let whole = ruleset(&world);
    world.host("nft flush ruleset");
    world.wait("the rules", || ruleset(&world) == whole);
    world.ok(&["rm", "-f", "web"]);
    world.wait("its end", || world.resolver().is_none());
}

#[test]
fn containers_with_names_are_looked_after_too() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    world.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--network",
        "blue",
        "host",
        "sleep",
        "1000",
    ]);
    let whole = ruleset(&world);
    world.host("nft flush ruleset");
    world.wait("the rules", || ruleset(&world) == whole);
    // The process stays for a container with ports alone, after those with names are gone.
    serve(&world, "web", &["-p", "8080:80"]);
    let whole = ruleset(&world);
    world.ok(&["rm", "-f", "a"]);
    std::thread::sleep(std::time::Duration::from_secs(6));
    world.host("nft flush ruleset");
    world.wait("the rules", || ruleset(&world) == whole);
}

#[test]
fn the_table_is_not_brought_back_when_we_remove_it() {
    let Some(world) = World::new() else { return };
    world.ok(&["network", "create", "blue"]);
    serve(&world, "web", &["--network", "blue", "-p", "8080:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    let guard = world.resolver().unwrap();
    world.ok(&["rm", "-f", "web"]);
    world.ok(&["network", "rm", "blue"]);
    assert_eq!(ruleset(&world), "");
    // Somebody makes it look again.
    world.host("nft 'add table inet other; flush ruleset'");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(world.resolver(), Some(guard), "it does not look any more");
    assert_eq!(ruleset(&world), "");
}

#[test]
fn each_engine_mends_its_own() {
    let Some(world) = World::new() else { return };
    let other = world.beside();
    serve(&world, "web", &["-p", "8080:80"]);
    serve(&other, "api", &["-p", "8081:80"]);
    let whole = ruleset(&world);
    world.host("nft flush ruleset");
    let sorted = |text: &str| {
        let mut tables: Vec<String> = text.split("\ntable ").map(str::to_owned).collect();
        tables.iter_mut().for_each(|table| {
            *table = table.trim().trim_start_matches("table ").to_owned();
        });
        tables.sort();
        tables
    };
    world.wait("both tables", || sorted(&ruleset(&world)) == sorted(&whole));
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    assert_eq!(ask(&world, "127.0.0.1:8081").unwrap(), "api");
    // What the one removes, the other leaves.
    other.ok(&["rm", "-f", "api"]);
    world.wait("the rules of one", || !ruleset(&world).contains("8081"));
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
}

#[test]
fn who_takes_them_again_and_again_is_left_alone_for_a_while() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    let log = world.berth.path("state/packets.log");
    let fights = || std::fs::read_to_string(&log).unwrap_or_default();
    world.wait("a pause", || {
        world.host("nft flush ruleset");
        fights().contains("they are left alone for")
    });
    assert!(fights().lines().count() < 10, "{}", fights());
    // A start looks for itself.
    serve(&world, "second", &["-p", "8081:80"]);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    assert_eq!(ask(&world, "127.0.0.1:8081").unwrap(), "second");
}

#[test]
fn where_nobody_looks_a_start_and_a_command_do() {
    let Some(world) = World::new() else { return };
    serve(&world, "web", &["-p", "8080:80"]);
    kill_guard(&world);
    let whole = ruleset(&world);
    world.host("nft flush ruleset");
    assert_eq!(
        world.ok(&["network", "reload"]),
        "The rules of the packet filter are there again."
    );
    assert_eq!(ruleset(&world), whole);
    assert_eq!(world.ok(&["network", "reload"]), "Nothing was missing.");
    // A start does not wait for the process that it begins.
    world.host("nft flush ruleset");
    world.ok(&["run", "--rm", "host", "true"]);
    assert_eq!(ruleset(&world), whole);
    assert_eq!(ask(&world, "127.0.0.1:8080").unwrap(), "web");
    // A recovery has somebody look again.
    kill_guard(&world);
    world.ok(&["system", "restore"]);
    world.wait("the process", || world.resolver().is_some());
    world.host("nft flush ruleset");
    world.wait("the rules", || ruleset(&world) == whole);
}
