/*
 * A crowd: so many sleeping processes in so many PID namespaces.
 *
 *     crowd PROCESSES NAMESPACES
 *
 * All live below one PID namespace of their own, the init of which is one of them. Each further
 * namespace is a child of that one and has its share of the processes. Once all are there, "ready"
 * is printed; when the standard input ends, or this process does, so do all of them.
 *
 * They do nothing, and share all memory with this small program. Built by `cargo xtask bench`.
 * Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Written to once by each namespace that is complete, or that is not. */
static int report[2];

static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* fork(2), into a new PID namespace where asked. */
static pid_t start(uint64_t flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* As a member of a namespace: starts others beside itself. */
static void fill(long others)
{
	for (long i = 0; i < others; i++) {
		pid_t pid = start(0);
		if (pid < 0)
			die("fork");
		if (pid == 0)
			sleep_for_ever();
	}
}

/* The share of the namespace number `at`, of `all` processes in `count` namespaces. */
static long share(long all, long count, long at)
{
	return all / count + (at < all % count);
}

/* As PID 1 of the outermost namespace. */
static void live(long processes, long namespaces)
{
	/* Only who started us can end us as a whole. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long at = 1; at < namespaces; at++) {
		pid_t pid = start(CLONE_NEWPID);
		if (pid < 0)
			die("clone into a new PID namespace");
		if (pid == 0) {
			fill(share(processes, namespaces, at) - 1);
			if (write(report[1], "+", 1) != 1)
				die("report");
			sleep_for_ever();
		}
		/* One after the other: a crowd of forking namespaces helps nobody. */
		char said;
		if (read(report[0], &said, 1) != 1)
			die("wait for a namespace");
	}
	fill(share(processes, namespaces, 0) - 1);
	puts("ready");
	fflush(stdout);
	sleep_for_ever();
}

int main(int count, char **words)
{
	long processes = count == 3 ? atol(words[1]) : 0;
	long namespaces = count == 3 ? atol(words[2]) : 0;
	if (namespaces < 1 || processes < namespaces) {
		fprintf(stderr, "usage: crowd PROCESSES NAMESPACES\n");
		return 2;
	}
	if (pipe(report) < 0)
		die("pipe");
	pid_t pid = start(CLONE_NEWPID);
	if (pid < 0)
		die("clone into a new PID namespace");
	if (pid == 0)
		live(processes, namespaces);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
