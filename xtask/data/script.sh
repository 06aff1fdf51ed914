# Two hundred ordinary docker commands, as Docker's tutorials have them: images, first containers, a service
# with its network and volume, files in and out, looking at things, cleaning up. A line is a command;
# "cargo xtask script" runs each with docker and with berth, in a folder with busybox.tar, and compares
# what it prints and its exit code.

# Images
docker import --change 'CMD ["sh"]' busybox.tar busybox:1.36
docker images
docker images --format '{{.Repository}}:{{.Tag}}'
docker image ls --quiet
docker tag busybox:1.36 registry.example/team/busybox:stable
docker images --filter reference='registry.example/*/*' --format '{{.Repository}} {{.Tag}}'
docker image inspect --format '{{.Os}}/{{.Architecture}}' busybox:1.36
docker image inspect --format '{{json .Config.Cmd}}' busybox:1.36
docker history --format '{{.Comment}}' busybox:1.36
docker rmi registry.example/team/busybox:stable

# First containers
docker run --rm busybox:1.36 echo hello from a container
docker run --name greeter busybox:1.36 sh -c 'echo out; echo err >&2; exit 3'
docker ps
docker ps --all
docker ps -a --format '{{.Names}}: {{.Image}}, {{.Status}}'
docker inspect -f '{{.State.ExitCode}}' greeter
docker logs greeter
docker start --attach greeter
docker wait greeter
docker rm greeter
docker run --rm -e COLOR=blue -e EMPTY= busybox:1.36 sh -c 'echo $COLOR-$EMPTY-'
docker run --rm --env-file settings.env busybox:1.36 env
docker run --rm -w /srv busybox:1.36 pwd
docker run --rm -u 1000:1000 busybox:1.36 id
docker run --rm --hostname box busybox:1.36 hostname
docker run --rm --entrypoint echo busybox:1.36 another program
echo piped | docker run --rm -i busybox:1.36 cat
docker run --rm --read-only busybox:1.36 touch /file
docker run --rm --tmpfs /scratch busybox:1.36 sh -c 'echo kept in memory >/scratch/f && cat /scratch/f'
docker run --rm -m 64m --cpus 0.5 --pids-limit 50 busybox:1.36 true
docker run --rm --init busybox:1.36 sh -c 'test $$ != 1'
docker run --rm busybox:1.36 no-such-program
docker run --rm busybox:1.36 /etc
docker run --rm --network none busybox:1.36 ls /sys/class/net
docker run --rm no-such-image:1 --pull never true
docker run --no-such-flag busybox:1.36

# A service with a network and a volume
docker network create app
docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'
docker network inspect app --format '{{.Name}} {{.Driver}} {{.Internal}}'
docker volume create --label part=data data
docker volume ls
docker volume inspect data --format '{{.Name}} {{.Driver}} {{json .Labels}}'
docker run -d --name web --network app -p 8080:80 -v data:/srv --label tier=front busybox:1.36 httpd -f -p 80 -h /srv
docker exec web sh -c 'echo "<h1>It works</h1>" >/srv/index.html'
docker run --rm --network app busybox:1.36 wget -q -O - http://web/
docker run --rm -v data:/data:ro busybox:1.36 cat /data/index.html
docker ps
docker ps --filter label=tier=front --format '{{.Names}} {{.Ports}}'
docker ps --filter status=running --quiet
docker container ls --last 1 --format '{{.Names}}'
docker port web
docker port web 80
docker top web
docker top web -o comm,pid | awk '{print $1}'
docker stats --no-stream --format '{{.Name}}' web
docker exec web ps
docker exec -e GREETING=hi -w /srv web sh -c 'echo $GREETING from $(pwd)'
docker exec -u nobody web id -u
echo typed | docker exec -i web cat
docker exec web false
docker exec web no-such-program

# Looking closely
docker inspect --format '{{.State.Status}} {{.State.Running}}' web
docker inspect --format '{{json .Config.Labels}}' web
docker inspect --format '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}' web
docker inspect --format '{{range $name, $net := .NetworkSettings.Networks}}{{$name}}{{end}}' web
docker inspect --format '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}' web
docker inspect --format '{{.HostConfig.NetworkMode}} {{.HostConfig.Privileged}} {{.Config.Tty}}' web
docker inspect --format '{{join .Config.Cmd " "}}' web
docker inspect --format '{{upper .Name}}' web
docker inspect --type volume --format '{{.Name}}' data
docker inspect no-such-thing
docker container inspect --format '{{.Path}} {{.Args}}' web

# Logs
docker run -d --name ticker busybox:1.36 sh -c 'for i in 1 2 3 4 5; do echo line $i; done; sleep 300'
docker logs ticker
docker logs --tail 2 ticker
docker logs --timestamps --tail 1 ticker
docker logs --since 1h ticker
docker logs --until 1h ticker

# Files in and out
docker cp notes.txt web:/tmp/notes.txt
docker exec web cat /tmp/notes.txt
docker cp web:/srv/index.html - | tar -xO
docker cp web:/etc/passwd passwd-of-web && head -n 1 passwd-of-web
docker diff web
docker commit --message 'with notes' --change 'ENV NOTES=/tmp/notes.txt' web site:1
docker run --rm site:1 sh -c 'cat $NOTES'
docker image inspect --format '{{.Comment}}' site:1
docker save --output site.tar site:1 && docker rmi site:1 >/dev/null && docker load --input site.tar
docker export web | tar -t | grep -x tmp/notes.txt

# A life
docker create --name later busybox:1.36 echo started late
docker ps --all --filter status=created --format '{{.Names}} {{.Status}}'
docker start -a later
docker rename later sooner
docker pause web
docker ps --filter name=web --format '{{.Status}}'
docker unpause web
docker update --memory 128m --memory-swap 256m ticker
docker inspect --format '{{.HostConfig.Memory}}' ticker
docker restart -t 1 ticker
docker run -d --name again --restart on-failure:2 busybox:1.36 true
docker inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' again
docker run -d --name healthy --health-cmd true --health-interval 1s busybox:1.36 sleep 300
docker kill --signal TERM healthy
docker network create --subnet 10.99.0.0/24 back
docker network connect --alias site back web
docker run --rm --network back busybox:1.36 wget -q -O - http://site/
docker network disconnect back web
docker stop -t 1 web
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' web
docker kill ticker
docker wait ticker
docker stop no-such-container

# Volumes and bind mounts, as in the storage tutorials
docker volume create my-vol
docker volume ls --filter name=my-vol --format '{{.Name}} {{.Driver}} {{.Scope}}'
docker run -d --name devtest --mount source=my-vol,target=/app busybox:1.36 sleep 300
docker inspect --format '{{json (index .Mounts 0).Type}} {{(index .Mounts 0).Destination}} {{(index .Mounts 0).RW}}' devtest
docker volume rm my-vol
docker volume ls --filter dangling=true --quiet
docker exec devtest sh -c 'echo kept >/app/file'
docker rm --force --volumes devtest
docker run --rm --mount source=my-vol,destination=/app,readonly busybox:1.36 sh -c 'cat /app/file; touch /app/other'
docker run --rm -v my-vol:/dbdata -v .:/backup busybox:1.36 tar cf /backup/backup.tar /dbdata
tar -tf backup.tar
docker run --name dbstore -v /dbdata busybox:1.36 touch /dbdata/table
docker run --rm --volumes-from dbstore busybox:1.36 ls /dbdata
docker rm -v dbstore
docker run --rm --mount type=bind,source=.,target=/app busybox:1.36 cat /app/notes.txt
docker run --rm --mount type=bind,source=./notes.txt,target=/notes,ro busybox:1.36 sh -c 'cat /notes; echo more >>/notes'
docker run --rm --mount type=bind,source=./no-such-folder,target=/app busybox:1.36 true
docker run --rm -v ./made-for-it:/app busybox:1.36 true && ls -d made-for-it
docker run --rm --mount type=tmpfs,destination=/app,tmpfs-size=1m,tmpfs-mode=1770 busybox:1.36 stat -c %a /app
docker run --rm -v my-vol:relative busybox:1.36 true
docker volume rm my-vol
docker volume inspect my-vol

# Containers on bridges, as in the networking tutorials
docker network create --driver bridge alpine-net
docker network ls --filter name=alpine-net --format '{{.Name}} {{.Driver}}'
docker run -dit --name alpine1 --network alpine-net busybox:1.36 sh
docker run -dit --name alpine2 --network alpine-net busybox:1.36 sh
docker run -dit --name alpine3 busybox:1.36 sh
docker network inspect --format '{{range .Containers}}{{println .Name}}{{end}}' alpine-net | sort
docker exec alpine1 ping -c 2 -q alpine2 | grep transmitted
docker exec alpine1 ping -c 1 -W 1 alpine3
docker network connect alpine-net alpine3
docker exec alpine1 ping -c 1 -q alpine3 | grep transmitted
docker inspect --format '{{len .NetworkSettings.Networks}}' alpine3
docker network rm alpine-net
docker run --rm --network container:alpine1 busybox:1.36 hostname
docker run --rm --network host busybox:1.36 true
docker run --rm --add-host db.example:10.1.2.3 busybox:1.36 grep db.example /etc/hosts
docker run --rm --dns 192.0.2.53 --dns-search example.org busybox:1.36 sh -c "grep -v '^#' /etc/resolv.conf | sort"
docker stop -t 0 alpine1 alpine2 alpine3
docker rm alpine1 alpine2 alpine3
docker network rm alpine-net
docker network rm alpine-net

# Restarts and health
docker run -d --name steady --restart unless-stopped busybox:1.36 sleep 300
docker inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.RestartCount}}' steady
docker update --restart no steady
docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' steady
docker run -d --rm --restart always busybox:1.36 true
docker run -d --name ill --health-cmd 'echo not well; exit 1' --health-interval 1s --health-retries 1 busybox:1.36 sleep 300
sleep 3; docker inspect --format '{{.State.Health.Status}}' ill
docker ps --filter health=unhealthy --format '{{.Names}}'
docker inspect --format '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' ill
docker inspect --format '{{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Retries}}' ill
docker run --rm --no-healthcheck busybox:1.36 true
docker rm -f steady ill

# Logs and formats
docker run --name logger --log-opt max-size=1m --log-opt max-file=2 busybox:1.36 sh -c 'echo one; echo two >&2; sleep 0.3; echo three'
docker logs logger 2>/dev/null
docker logs --tail 1 logger 2>&1
docker logs -n 0 logger
docker inspect --format '{{.HostConfig.LogConfig.Type}} {{json .HostConfig.LogConfig.Config}}' logger
docker run --name mute --log-driver none busybox:1.36 echo nobody hears
docker logs mute
docker run --rm --log-driver no-such-driver busybox:1.36 true
docker ps -a --format 'table {{.Names}}\t{{.Image}}' --filter name=logger
docker ps -a --format '{{json .Names}}' --filter name=logger
docker ps -a --format '{{.Names | upper}} {{.Labels}}' --filter name=logger
docker ps -a --no-trunc --filter name=logger --format '{{.Command}}'
docker ps -a --format '{{.NoSuchField}}'
docker ps --filter no-such-filter=1
docker inspect --format '{{.NoSuchField}}' logger
docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' logger
docker inspect --format '{{split .Config.Image ":"}} {{title .State.Status}} {{pad .Name 1 1}} {{truncate .Path 1}}' logger
docker container ls --all --filter exited=0 --format '{{.Names}}' | sort
docker images --format 'table {{.Repository}}\t{{.Tag}}'
docker images --filter dangling=true --quiet
docker image ls no-such-image
docker version --format '{{.Client.Os}}'
docker rm logger mute

# What templates and filters see
docker run -d --name seen --cpus 0.5 -m 64m --label env=prod -v shelf:/data -p 9000:90 --expose 77 --dns 1.2.3.4 --add-host h:1.2.3.4 busybox:1.36 sleep 1000
docker inspect -f '{{.ID}}' seen
docker inspect -f '{{.HostConfig.NanoCPUs}} {{.HostConfig.CPUShares}} {{.HostConfig.DNS}}' seen
docker inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}} {{.HostConfig.Dns}} {{.HostConfig.ExtraHosts}}' seen
docker inspect -f '{{json .Config.ExposedPorts}} {{json .HostConfig.PortBindings}}' seen
docker inspect -f '{{range $p, $conf := .NetworkSettings.Ports}}{{if $conf}}{{$p}} -> {{(index $conf 0).HostPort}}{{end}}{{end}}' seen
docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAMConfig}} {{.Links}} {{.Aliases}} {{.DriverOpts}}{{end}}' seen
docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.Health}} {{.Config.Healthcheck}}' seen
docker inspect -f '{{.Config.MacAddress}} {{.Config.NetworkDisabled}} {{.Config.Shell}} {{.Config.OnBuild}} {{.Config.Entrypoint}}' seen
docker inspect -f '{{.HostConfig.Mounts}} {{.HostConfig.Tmpfs}} {{.HostConfig.Sysctls}} {{.HostConfig.StorageOpt}} {{.HostConfig.PidsLimit}}' seen
docker inspect -f '{{.SizeRw}} {{.SizeRootFs}} {{json .Config.Entrypoint}} {{.Config.Labels.none}} {{index .Config.Labels "none"}}' seen
docker network inspect -f '{{.ID}} {{.ConfigOnly}} {{.Ingress}} {{.Peers}}' bridge
docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}} {{.Status}} {{.UsageData}}' shelf
docker image inspect -f '{{.ID}}|{{.Parent}}|{{.Variant}}|{{.OsVersion}}|{{.Config.OnBuild}}' busybox:1.36
docker ps -q --filter publish=9000
docker ps -q --filter publish=90
docker ps -q --filter expose=90
docker ps -q --filter expose=77
docker info --format '{{.IPv4Forwarding}} {{.MemoryLimit}} {{.CPUCfsPeriod}} {{.CPUShares}} {{.CPUSet}} {{.PidsLimit}} {{.HTTPProxy}}'
docker events --since 60s --until 0s --filter container=seen --filter event=start --format '{{.Status}} {{.ID}} {{.From}} {{.Type}} {{.Action}} {{.Actor.ID}} {{.Scope}}'
docker network create --subnet 10.97.5.0/24 lane
docker network ls --filter dangling=true --format '{{.Name}}'
docker run -d --name placed --network lane --ip 10.97.5.50 busybox:1.36 sleep 1000
docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.IPAMConfig.IPv4Address}}{{end}}' placed
docker run --rm --ipc shareable busybox:1.36 ls /dev/shm
docker run --rm --ipc none busybox:1.36 ls /dev/shm
docker run --rm --network host -p 1:1 busybox:1.36 echo ok
docker run --rm --network container:seen --add-host x:1.1.1.1 busybox:1.36 true
docker run --rm --network container:seen --dns 1.1.1.1 busybox:1.36 true
docker rm -f seen placed
docker network rm lane
docker volume rm shelf

# Manners of the command line
docker run -d --name plain --hostname short.example.org -p 9001:91 -v .:/host:ro -v .:/host:ro busybox:1.36 sleep 1000
docker exec $(docker inspect -f '{{.Name}}' plain) hostname -d
docker logs /plain
docker inspect -f '{{.Name}}' /plain no-such-thing
docker run --name /slashed busybox:1.36 true && docker rm /slashed
docker run --rm --name "" --ip "" --pid "" --platform= -h "" -w "" busybox:1.36 pwd
echo piped | docker exec -iw "" plain cat
docker exec -w '' plain id -u
docker ps --format '' --filter '' | wc -l
docker inspect -f '' plain | head -n 1
docker run --rm --memory "" busybox:1.36 true
docker run --rm=1 --read-only=T --init=0 busybox:1.36 true
docker ps --filter 'name=^/?pl[a-z]{3}$' --format '{{.Names}}'
docker ps --filter 'name=^(nobody|plain)$' --format '{{.Names}}'
docker volume create --name old-style
docker volume ls --quiet --filter 'name=^old-.*$'
docker volume rm old-style no-such-volume
docker network ls --filter 'name=^bri' --format '{{.Name}}'
docker rmi --force no-such-image:1
docker rmi no-such-image:1
docker run --rm --network host busybox:1.36 hostname
docker run --rm --domainname example.org busybox:1.36 cat /proc/sys/kernel/domainname
docker exec plain sh -c 'grep -c "short.example.org short$" /etc/hosts'
test "$(docker inspect -f '{{.Image}}' plain)" = "$(docker image inspect -f '{{.Id}}' busybox:1.36)"
docker inspect -f '{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}' plain
docker kill --signal WINCH plain no-such-container
docker network create crew
docker run -d --name mate --hostname first-mate --network crew busybox:1.36 sleep 1000
docker run --rm --network crew busybox:1.36 ping -c 1 -q first-mate | grep transmitted
head -c 3000000 /dev/zero | docker run --rm -i busybox:1.36 wc -c
head -c 3000000 /dev/zero | docker exec -i plain head -c 10 | wc -c
docker run --rm --label-file labels.txt busybox:1.36 true
printf 'com.example.one=1\n# a comment\nlone\n' >labels.txt; docker run --name marked --label-file labels.txt busybox:1.36 true; docker inspect -f '{{json .Config.Labels}}' marked
docker run --rm -a stdin busybox:1.36 true | wc -l
docker run --rm busybox:1.36 ls -d /.dockerenv /etc/mtab
docker inspect -f '{{.NetworkSettings.Ports}}' plain
docker inspect -f '{{.Driver}}' plain
docker inspect -f '{{json .Config.Env}} {{json .HostConfig.VolumesFrom}}' plain
docker rm --force --volumes plain mate marked
docker network rm crew

# Cleaning up
docker rm web ticker
docker rm --force again healthy sooner later
docker container prune --force
docker volume rm data
docker network rm app back
docker image prune --force
docker rmi site:1
docker ps --all --quiet
docker volume prune --force
docker system df --format '{{.Type}}: {{.TotalCount}}'
docker system prune --force --all
