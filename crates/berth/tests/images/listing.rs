//! `images`, `history`, `inspect` and `ps`: what they show of images.

use serde_json::{Value, json};

use crate::maker::{Recipe, World};

#[test]
fn images_are_listed() {
    let world = World::empty();
    assert_eq!(
        world.ok("images"),
        "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE"
    );
    world.load(&Recipe::busybox(), "box:1");
    world.ok("tag box:1 quay.io/me/box");
    let id = world.id("box:1");
    let short = &id[7..19];
    let listed = world.ok("images");
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(
        lines[1].starts_with("box") && lines[1].contains(short),
        "{listed}"
    );
    assert!(lines[2].starts_with("quay.io/me/box   latest"), "{listed}");
    assert_eq!(world.ok("images -q"), short);
    assert_eq!(world.ok("images -q --no-trunc"), id);
    assert_eq!(world.ok("image ls -q box:1"), short);
    let line = world.ok("images --format json box");
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&value["Repository"], &value["Tag"]),
        (&json!("box"), &json!("1"))
    );
    assert_eq!(value["Containers"], "0");
    world.ok("create box:1");
    assert_eq!(world.ok("images --format {{.Containers}} box:1"), "1");
    let table = world
        .berth
        .ok(&["images", "--format", "table {{.Tag}}\t{{.Digest}}"]);
    assert_eq!(
        table,
        "TAG       DIGEST\n1         <none>\nlatest    <none>"
    );
}

#[test]
fn images_are_filtered() {
    let world = World::empty();
    let labelled = |value: &str| Recipe::with(json!({"Labels": {"kind": value}}));
    world.load(&labelled("a"), "one:1");
    world.load(&labelled("b"), "two:1");
    // Its name goes to another image.
    world.load(&labelled("c"), "two:1");
    let names = |filter: &str| {
        world
            .berth
            .ok(&["images", "-f", filter, "--format", "{{.Repository}}"])
    };
    assert_eq!(names("dangling=true"), "<none>");
    assert_eq!(names("label=kind=a"), "one");
    assert_eq!(names("reference=t*"), "two");
    assert_eq!(
        world
            .ok("images -q -f dangling=false -f label=kind")
            .lines()
            .count(),
        2
    );
    assert_eq!(world.ok("images -q one").lines().count(), 1);
    assert_eq!(world.ok("images -q nosuch"), "");
    let said = world.fails(125, "images -f labl=x");
    insta::assert_snapshot!(said, @"berth: invalid --filter labl=x: no filter is called labl; did you mean label?");
}

#[test]
fn history_and_inspect() {
    let world = World::empty();
    world.load(&Recipe::busybox().layer(&[("a", "12345")]), "box:1");
    let id = world.id("box:1");
    let out = world.ok("history box:1");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("IMAGE          CREATED"), "{out}");
    assert!(
        lines[1].starts_with(&id[7..19]) && lines[1].contains("step 1"),
        "{out}"
    );
    assert!(
        lines[2].starts_with("<missing>") && lines[2].contains("step 0"),
        "{out}"
    );
    assert_eq!(
        world.ok("history -q --no-trunc box:1"),
        format!("{id}\n<missing>")
    );
    let rows = world.ok("history --format json --human=false box:1");
    let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(row["CreatedSince"], "2026-01-02T03:04:05Z");
    assert_eq!(row["CreatedBy"], "step 1");
    let shown: Value = serde_json::from_str(&world.ok("image inspect box:1")).unwrap();
    assert_eq!(shown[0]["Id"], id);
    assert_eq!(shown[0]["RepoTags"], json!(["box:1"]));
    assert_eq!(shown[0]["Architecture"], "amd64");
    assert_eq!(
        world.ok("image inspect -f {{.Os}}/{{.Config.Cmd}} box:1"),
        "linux/[sh]"
    );
    let done = world.run("image inspect nosuch box:1 -f {{.Os}}");
    assert_eq!((done.code, done.out.as_str()), (1, "linux\n"), "{done:?}");
}

#[test]
fn inspect_finds_images_and_volumes() {
    let world = World::new();
    world.ok("volume create vol");
    world.ok("create --name both box:1");
    world.ok("tag box:1 both");
    let id = world.id("box:1");
    assert_eq!(world.ok("inspect -f {{.Id}} box:1"), id);
    assert_eq!(
        world.ok(&format!("inspect -f {{{{.RepoTags}}}} {}", &id[7..19])),
        "[both:latest box:1]"
    );
    assert_eq!(world.ok("inspect -f {{.Driver}} vol"), "local");
    assert_eq!(
        world.ok("inspect -f {{.Name}} both"),
        "/both",
        "containers come first"
    );
    assert_eq!(world.ok("inspect --type image -f {{.Id}} both"), id);
    assert_eq!(world.ok("inspect --type volume -f {{.Name}} vol"), "vol");
    let shown: Value = serde_json::from_str(&world.ok("inspect both box:1 vol")).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 3);
    insta::assert_snapshot!(world.fails(1, "inspect -f x nosuch"), @"berth: no container, image, network or volume is called nosuch");
    insta::assert_snapshot!(world.fails(1, "inspect --type image -f x vol"), @r#"berth: no such image: vol:latest; "berth images" lists all, "berth pull" fetches one"#);
    insta::assert_snapshot!(world.fails(1, "inspect --type container -f x box:1"), @r#"berth: no such container: box:1; "berth ps -a" lists all containers"#);
    assert_eq!(world.run("inspect --type pod x").code, 125);
}

#[test]
fn ps_knows_what_containers_were_made_from() {
    let world = World::new();
    world.sh("--name base box:1", "echo 12345 >/f");
    world.ok("commit base child:1");
    world.ok("create --name child child:1");
    world.load(&Recipe::busybox().layer(&[("other", "x")]), "sister:1");
    world.ok("create --name sister sister:1");
    world.ok("create --name own --net none host true");
    let names = |filter: &str| {
        world
            .berth
            .ok(&["ps", "-a", "-f", filter, "--format", "{{.Names}}"])
    };
    let id = world.id("box:1");
    for image in ["box:1", &id, &id[7..19]] {
        let below = names(&format!("ancestor={image}"));
        assert_eq!(below, "sister\nchild\nbase", "{image}");
    }
    assert_eq!(names("ancestor=host"), "own");
    assert_eq!(names("ancestor=nosuch"), "");
    assert_eq!(names("ancestor=child:1"), "child");
    let image = |name: &str| world.ok(&format!("ps -a -f name={name} --format {{{{.Image}}}}"));
    assert_eq!(image("base"), "box:1");
    // Its name means another image by now; then none has it.
    world.ok("tag sister:1 box:1");
    assert_eq!(image("base"), &id[7..19]);
    world.ok("tag child:1 box:1");
    let format = "{{.Names}}: {{.Size}}";
    let sizes = world
        .berth
        .ok(&["ps", "-a", "--format", format, "-f", "name=base"]);
    assert!(sizes.starts_with("base: 6B (virtual 2"), "{sizes}");
    let table = world.ok("ps -as");
    assert!(table.lines().next().unwrap().ends_with("SIZE"), "{table}");
}
