//! Examples of the everyday commands.

/// A command line and what it is for.
pub(super) type Example = (&'static str, &'static str);

/// The examples of a command, by its key.
pub(super) fn of(key: &str) -> &'static [Example] {
    let found = EXAMPLES.iter().find(|(of, _)| *of == key);
    found.map_or(&[], |(_, examples)| examples)
}

pub(super) const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            (
                "berth run --rm -it debian bash",
                "A shell in a container that goes with it",
            ),
            (
                "berth run -d --name web -p 8080:80 nginx",
                "A service in the background, at port 8080 of the host",
            ),
            ("berth logs -f web", "What it writes, as it comes"),
            ("berth exec -it web sh", "A look inside"),
            ("berth rm -f web", "And its end"),
        ],
    ),
    (
        "run",
        &[
            (
                "berth run --rm -it debian bash",
                "A shell that leaves nothing behind",
            ),
            (
                "berth run -d --name web --restart unless-stopped -p 127.0.0.1:8080:80 nginx",
                "A service that comes back after a failure and after a boot, for this host alone",
            ),
            (
                "berth run -d --name db --network app -v data:/var/lib/postgresql/data -e POSTGRES_PASSWORD_FILE=/run/pw postgres",
                "A database on a network of its own, its data in a volume",
            ),
            (
                "berth run --rm -v .:/src:ro -w /src golang go vet ./...",
                "A tool over the files of this folder, which it cannot change",
            ),
            (
                "berth run --rm -m 512m --cpus 1.5 --pids-limit 200 worker",
                "With limits on memory, processors and processes",
            ),
            (
                "echo text | berth run --rm -i busybox wc -c",
                "In a pipe; -i passes standard input on",
            ),
        ],
    ),
    (
        "create",
        &[(
            "berth create --name job -v data:/data worker",
            "Made now, started later with \"berth start job\"",
        )],
    ),
    (
        "start",
        &[
            ("berth start web db", "Two at once"),
            (
                "berth start -ai job",
                "With its streams; the exit code is the container's",
            ),
        ],
    ),
    (
        "exec",
        &[
            ("berth exec -it web sh", "A shell in a running container"),
            (
                "berth exec -u postgres db psql -c 'select 1'",
                "A command as another user",
            ),
            ("berth exec ls web", "The sessions that run in it"),
        ],
    ),
    (
        "attach",
        &[
            (
                "berth attach web",
                "Joins its streams; ctrl-p ctrl-q leaves them",
            ),
            (
                "berth attach --no-stdin --sig-proxy=false web",
                "Only looks on: ctrl-c ends this client alone",
            ),
        ],
    ),
    (
        "ps",
        &[
            ("berth ps -a", "Those that have ended, too"),
            (
                "berth ps -q --filter status=exited --filter label=tier=test",
                "The ids of some",
            ),
            (
                "berth ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Ports}}'",
                "Columns of one's own",
            ),
        ],
    ),
    (
        "stop",
        &[
            (
                "berth stop web",
                "The container's stop signal, and SIGKILL after 10 seconds",
            ),
            ("berth stop -t 60 db", "With a minute to end in"),
        ],
    ),
    (
        "restart",
        &[(
            "berth restart -t 5 web",
            "Stops it within 5 seconds and starts it again",
        )],
    ),
    (
        "kill",
        &[(
            "berth kill -s HUP web",
            "Has it read its configuration again",
        )],
    ),
    (
        "rename",
        &[("berth rename web web-old", "Makes room for a new one")],
    ),
    (
        "update",
        &[(
            "berth update -m 1g --restart always web",
            "More memory, and another policy; at once",
        )],
    ),
    (
        "rm",
        &[
            ("berth rm web", "One that has ended"),
            (
                "berth rm -f -v web",
                "One that may run, with its anonymous volumes",
            ),
        ],
    ),
    (
        "wait",
        &[("berth wait job", "Prints the exit code once it has ended")],
    ),
    (
        "logs",
        &[
            (
                "berth logs -f --tail 100 web",
                "The last lines, and what comes",
            ),
            (
                "berth logs --since 10m -t web",
                "Of ten minutes, with times",
            ),
        ],
    ),
    (
        "cp",
        &[
            ("berth cp web:/etc/nginx/nginx.conf .", "Out of a container"),
            (
                "berth cp site/. web:/usr/share/nginx/html",
                "The contents of a folder into one",
            ),
        ],
    ),
    (
        "inspect",
        &[
            ("berth inspect web", "All of it, as JSON"),
            (
                "berth inspect -f '{{.State.Status}} {{.NetworkSettings.IPAddress}}' web",
                "Two values",
            ),
        ],
    ),
    (
        "images",
        &[
            (
                "berth images --filter dangling=true",
                "Those without a name",
            ),
            (
                "berth images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
                "A line for a script",
            ),
        ],
    ),
    (
        "rmi",
        &[(
            "berth rmi busybox:1.36",
            "Takes the name away, and the image with its last one",
        )],
    ),
    (
        "tag",
        &[(
            "berth tag web:latest registry.example/team/web:1.4",
            "A name to push it by",
        )],
    ),
    (
        "history",
        &[(
            "berth history --no-trunc nginx",
            "The layers, and what made them",
        )],
    ),
    (
        "commit",
        &[(
            "berth commit -m 'with data' -c 'CMD [\"serve\"]' web web:filled",
            "An image of what a container has become",
        )],
    ),
    (
        "diff",
        &[(
            "berth diff web",
            "A for new, C for changed, D for removed files",
        )],
    ),
    (
        "export",
        &[("berth export -o web.tar web", "Its files alone, as one tar")],
    ),
    (
        "import",
        &[(
            "berth import -c 'CMD [\"sh\"]' root.tar mine:1",
            "An image of a root filesystem",
        )],
    ),
    (
        "save",
        &[(
            "berth save -o images.tar web:1.4 db:9",
            "Two images for another host",
        )],
    ),
    ("load", &[("berth load -i images.tar", "And there")]),
    (
        "pull",
        &[
            ("berth pull debian:12", "From Docker Hub"),
            (
                "berth pull --platform linux/arm64 registry.example/team/web:1.4",
                "Of another platform, from another registry",
            ),
        ],
    ),
    (
        "push",
        &[
            ("berth push registry.example/team/web:1.4", "One image"),
            (
                "berth push --all-tags registry.example/team/web",
                "All of a name's tags",
            ),
        ],
    ),
    (
        "login",
        &[(
            "berth login -u me --password-stdin registry.example",
            "The password from a pipe, so that no history has it",
        )],
    ),
    (
        "stats",
        &[
            ("berth stats", "A live table"),
            (
                "berth stats --no-stream --format '{{.Name}} {{.MemUsage}}'",
                "One look",
            ),
        ],
    ),
    (
        "events",
        &[(
            "berth events --since 1h --filter event=die --filter event=oom",
            "What ended in the last hour, and what ends from now on",
        )],
    ),
    (
        "port",
        &[(
            "berth port web 80/tcp",
            "Where port 80 of a container is on the host",
        )],
    ),
    (
        "top",
        &[(
            "berth top web",
            "Its processes, with their PIDs inside and outside",
        )],
    ),
    (
        "pause",
        &[("berth pause web", "Until \"berth unpause web\"")],
    ),
    (
        "network create",
        &[
            (
                "berth network create app",
                "A network on which containers find each other by name",
            ),
            (
                "berth network create --internal --subnet 10.99.0.0/24 back",
                "One without a way out",
            ),
        ],
    ),
    (
        "network connect",
        &[(
            "berth network connect --alias db back postgres",
            "A running container on a further network, by a further name",
        )],
    ),
    (
        "volume create",
        &[(
            "berth volume create --label app=shop data",
            "For -v data:/var/lib/data",
        )],
    ),
    (
        "container prune",
        &[(
            "berth container prune --filter until=24h",
            "Those that were made more than a day ago and have ended",
        )],
    ),
    (
        "image prune",
        &[(
            "berth image prune -a",
            "All that no container was made from",
        )],
    ),
    (
        "volume prune",
        &[(
            "berth volume prune -a",
            "Named ones, too, that no container uses",
        )],
    ),
    (
        "system prune",
        &[(
            "berth system prune -af --volumes",
            "All that nothing uses, without a question",
        )],
    ),
    (
        "system df",
        &[("berth system df -v", "What takes how much, one by one")],
    ),
    (
        "system doctor",
        &[(
            "berth system doctor",
            "What of this host is missing, and the remedy",
        )],
    ),
    ("map", &[("berth map --watch", "The live map")]),
    (
        "pid",
        &[(
            "berth pid web:1",
            "The PID on the host of a container's first process",
        )],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage;

    /// The words of a line, quoted or not.
    fn words(line: &str) -> Vec<std::ffi::OsString> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for letter in line.chars() {
            match letter {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                other => words.last_mut().unwrap().push(other),
            }
        }
        words.into_iter().map(Into::into).collect()
    }

    #[test]
    fn every_example_is_of_its_command_and_is_understood() {
        for (key, examples) in EXAMPLES {
            for (line, _) in *examples {
                let line = line.rsplit(" | ").next().unwrap();
                let start = format!("berth {key}");
                assert!(line.starts_with(start.trim_end()), "{key}: {line}");
                let parsed = usage::parse(&words(line));
                assert!(parsed.is_ok(), "{line}");
            }
        }
    }
}
