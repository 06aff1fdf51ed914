//! What Docker 28.2.2 prints for the same templates; and that no input panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Surroundings, Template};

fn object() -> Value {
    json!({
        "Name": "/web",
        "State": {"Pid": 4242, "Running": true, "Health": null},
        "Args": [],
        "Float": 1.5,
        "Config": {
            "Env": ["A=1", "B=2"],
            "Labels": {"x": "1", "y.z": "<2>"},
            "Ports": {},
        },
    })
}

fn render(template: &str) -> String {
    let labels = object()["Config"]["Labels"].clone();
    let surroundings = Surroundings {
        method: |beside, name, arguments| {
            (name == "Label").then(|| {
                let key = arguments.first().and_then(Value::as_str).unwrap_or("");
                beside[key].clone()
            })
        },
        beside: &labels,
        ..Surroundings::default()
    };
    match Template::parse(template).and_then(|t| t.render(&object(), surroundings)) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    }
}

#[test]
fn same_as_docker() {
    for (template, expected) in [
        ("", ""),
        ("text", "text"),
        ("{{.State.Pid}}", "4242"),
        ("a{{/* note */}}b", "ab"),
        (
            "{{print 1e6}} {{123456789.0}} {{1.5}}",
            "1e+06 1.23456789e+08 1.5",
        ),
        ("{{.Config.Labels.nope}}", "<no value>"),
        (r#"{{index .Config.Labels "nope"}}"#, ""),
        (r#"{{index .Config.Labels "y.z"}}"#, "<2>"),
        ("{{json .Config.Labels}}", r#"{"x":"1","y.z":"<2>"}"#),
        ("{{.Config.Labels}}", "map[x:1 y.z:<2>]"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        (
            "{{range $k,$v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "x=1;y.z=<2>;",
        ),
        (
            "{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}",
            "A=1,B=2",
        ),
        ("{{range .Args}}x{{else}}none{{end}}", "none"),
        (
            r#"{{printf "%-10s|%5d|%q|%v|%T|%x|%s" .Name .State.Pid .Name .Config.Env .Config.Env .Name .State.Pid}}"#,
            r#"/web      | 4242|"/web"|[A=1 B=2]|[]string|2f776562|%!s(int=4242)"#,
        ),
        (
            r#"{{printf "%d" "x"}} {{printf "%s %s" "a"}} {{printf "a" 1}}"#,
            "%!d(string=x) a %!s(MISSING) a%!(EXTRA int=1)",
        ),
        (r#"{{print "a" 1 2 "b"}}"#, "a1 2b"),
        ("{{println 1 2}}", "1 2\n"),
        (
            "{{len .Name}} {{slice .Name 1 3}} {{slice .Config.Env 0 1}}",
            "4 we [A=1]",
        ),
        (
            "{{if and .State.Running (eq .State.Pid 4242)}}yes{{else}}no{{end}}",
            "yes",
        ),
        (
            r#"{{join .Config.Env ","}} {{split "a:b" ":"}} {{title "ab cd"}} {{pad "x" 2 3}}| {{truncate "abcdef" 3}}"#,
            "A=1,B=2 [a b] Ab Cd   x   | abc",
        ),
        (
            r#"{{lt 1 2}} {{lt "a" "b"}} {{not 0}} {{or "" "x"}} {{and 1 0}}"#,
            "true true true x 0",
        ),
        ("{{index .Config.Env 0}}", "A=1"),
        (r#"{{html "<a>"}}"#, "&lt;a&gt;"),
        (r#"{{js "<a>='\n'"}}"#, r"\u003Ca\u003E\u003D\'\u000A\'"),
        ("{{1 | print 2}}", "2 1"),
    ] {
        assert_eq!(render(template), expected, "{template}");
    }
}

#[test]
fn the_rest_of_the_language() {
    for (template, expected) in [
        ("a  {{- 1 -}}  b", "a1b"),
        ("a {{-1}}", "a -1"),
        ("a {{- /* x */ -}} b", "ab"),
        (
            "{{$x := 1}}{{if true}}{{$x = 2}}{{$y := 3}}{{end}}{{$x}}",
            "2",
        ),
        (
            "{{with $x := .State.Pid}}{{$x}} {{.}} {{$.Name}}{{end}}",
            "4242 4242 /web",
        ),
        (
            "{{with .State.Health}}x{{else with .Name}}{{.}}{{end}}",
            "/web",
        ),
        ("{{if false}}a{{else if true}}b{{else}}c{{end}}", "b"),
        (
            "{{range .Config.Env}}{{if eq . \"B=2\"}}{{break}}{{end}}{{.}}{{end}}",
            "A=1",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}",
            "B=2",
        ),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{(index .Config.Env 1) | lower}}", "b=2"),
        ("{{(.State).Pid}}", "4242"),
        ("{{$.State.Pid}} {{$s := .State}}{{$s.Pid}}", "4242 4242"),
        (r#"{{.Label "y.z"}} {{"x" | .Label}}"#, "<2> 1"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1.5 1}}",
            "true true true false true",
        ),
        ("{{eq .State.Health nil}}", "true"),
        ("{{`raw \\n`}}{{'a'}}", "raw \\n97"),
        (
            r#"{{printf "%05d|%+d|%#x|%6.2f|%-4d|%c|%%|%.2s" -42 7 255 1.005 3 65 "abc"}}"#,
            "-0042|+7|0xff|  1.00|3   |A|%|ab",
        ),
        (
            r#"{{printf "%t %e %g" true 12345.678 0.00001}}"#,
            "true 1.234568e+04 1e-05",
        ),
        ("{{or .State.Health .Name}}", "/web"),
        ("{{or .Name .Nope}}", "/web"),
    ] {
        assert_eq!(render(template), expected, "{template}");
    }
}

#[test]
fn errors_say_where() {
    let errors: Vec<String> = [
        "{{.Nope}}",
        "{{.State.Pdi}}",
        "{{.State.Pid.Foo}}",
        "{{.State.Health.Status}}",
        "a\n{{eq \"a\" 1}}",
        "{{foo}}",
        "{{jsn .}}",
        "{{.Name",
        "{{\"a",
        "{{range .Config.Env}}{{.}}",
        "{{if}}",
        "{{$x}}",
        "{{end}}",
        "{{else}}",
        "{{if true}}{{else}}{{else}}{{end}}",
        "{{break}}",
        "{{index .Config.Env 5}}",
        "{{index .Name \"a\"}}",
        "{{.Name \"x\"}}",
        "{{1 2}}",
        "{{1 | 2}}",
        "{{(1}}",
        "{{define \"x\"}}",
        "{{printf 1}}",
        "{{printf \"%\"}}",
        "{{len 3}}",
        "{{.A..B}}",
        "{{range .Name}}{{end}}",
        "{{@}}",
        "{{pad \"x\" 99999 1}}",
        "{{/* x }}",
    ]
    .into_iter()
    .map(|template| format!("{template:?}: {}", render(template)))
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(render(&deep).contains("nested more than"));
    let deep = "{{if true}}".repeat(10_000);
    assert!(render(&deep).contains("nested more than"));
    let deep = format!("{{{{if 0}}}}{}", "{{else if 0}}".repeat(10_000));
    assert!(render(&deep).contains("nested more than"));
}

proptest! {
    #[test]
    fn any_text_is_safe(text in "\\PC{0,64}") {
        drop(render(&text));
    }

    #[test]
    fn any_mix_of_tokens_is_safe(
        parts in proptest::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{-", "-}}", " ", ".", ".State", ".Config.Labels", "$", "$x", ":=",
                "=", ",", "|", "(", ")", "if", "else", "end", "range", "with", "break", "json",
                "index", "printf", "\"%5.2d\"", "\"a\"", "1", "-1", "1.5", "nil", "true", "/*",
                "*/", "len", "slice", "eq", "ü", "\n", "`", "'c'", "print", ".Label",
            ]),
            0..24,
        )
    ) {
        drop(render(&parts.concat()));
    }

    #[test]
    fn text_without_braces_is_itself(text in "[^{}]{0,64}") {
        prop_assert_eq!(render(&text), text);
    }
}
