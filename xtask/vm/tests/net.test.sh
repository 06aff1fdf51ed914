# Networks on the guest's kernel: bridges, published ports, isolation, names, links of an interface.
# The rest of it are the test programs of the crates berth and berth-net, which the guest runs too.

# iproute2's; the shell of the tests takes busybox's, which makes no pairs.
ip() {
    /usr/sbin/ip "$@"
}

# serve NAME FLAGS...: a container that answers "NAME" on port 80.
serve() {
    name=$1
    shift
    berth run -d --name "$name" "$@" host nc -ll -p 80 -e echo "$name" > /dev/null
}

# asks ADDRESS PORT: what answers there, from the guest.
asks() {
    nc -w 5 "$1" "$2" < /dev/null
}

# answers WORD COMMAND...: the command prints the word.
answers() {
    word=$1
    shift
    [ "$("$@")" = "$word" ]
}

# nobody NETWORK...: networks are removed with all that is on them.
nobody() {
    remove_all
    for network in "$@"; do
        berth network rm "$network"
    done
}

test_net_published() {
    berth network create blue
    serve web --network blue -p 8080:80
    soon "an answer by the loopback" answers web asks 127.0.0.1 8080
    address=$(ip -4 -o address show | sed -n 's/.* berth[^ ]* *inet \([0-9.]*\).*/\1/p')
    soon "an answer at the host's address" answers web asks "$address" 8080
    soon "an answer to itself" answers web berth exec web nc -w 5 "$address" 8080
    nobody blue
    [ -z "$(ip -o link show | grep berth)" ] || fail "the bridge is left"
}

test_net_isolation() {
    berth network create blue
    berth network create red
    serve a --network blue
    serve b --network blue
    serve c --network red
    address=$(berth exec a hostname -i)
    soon "a neighbour's answer" answers a berth exec b nc -w 5 "$address" 80
    answers a berth exec c nc -w 1 "$address" 80 && fail "another network reaches it"
    nobody blue red
}

test_net_names() {
    berth network create blue
    serve web --network blue --network-alias www
    serve peer --network blue
    soon "an answer by name" answers web berth exec peer nc -w 5 web 80
    soon "an answer by alias" answers web berth exec peer nc -w 5 www 80
    nobody blue
}

# lan DRIVER: a network on one end of a pair whose other end, with an address, is the LAN's.
lan() {
    ip link add up0 type veth peer name lan0
    ip address add 192.0.2.1/24 dev lan0
    ip link set lan0 up
    ip link set up0 up
    berth network create -d "$1" --subnet 192.0.2.0/24 --gateway 192.0.2.1 -o parent=up0 lan
    serve web --network lan --ip 192.0.2.10
    serve peer --network lan
    soon "a neighbour's answer" answers web berth exec peer nc -w 5 192.0.2.10 80
    soon "an answer by name" answers web berth exec peer nc -w 5 web 80
    soon "an answer to the LAN" answers web asks 192.0.2.10 80
    nobody lan
    ip link delete up0
}

test_net_macvlan() {
    lan macvlan
}

test_net_ipvlan() {
    lan ipvlan
}
