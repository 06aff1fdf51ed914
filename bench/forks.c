/*
 * So many forks a second, evenly: each child ends at once and is waited for.
 *
 *     forks PER_SECOND SECONDS
 *
 * Begins with the first byte on its standard input, so that whoever measures knows its PID by then,
 * and prints how many children there were. Built by `cargo xtask bench`.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void wait_until(int64_t time)
{
	struct timespec t = { .tv_sec = time / SECOND, .tv_nsec = time % SECOND };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

int main(int count, char **words)
{
	long rate = count == 3 ? atol(words[1]) : 0;
	long seconds = count == 3 ? atol(words[2]) : 0;
	if (rate < 1 || seconds < 1) {
		fprintf(stderr, "usage: forks PER_SECOND SECONDS\n");
		return 2;
	}
	char byte;
	if (read(0, &byte, 1) != 1)
		return 1;
	int64_t begin = now();
	int64_t start = begin;
	long done = 0;
	while (now() - begin < seconds * SECOND) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid) {
			fprintf(stderr, "forks: %s\n", strerror(errno));
			return 1;
		}
		done++;
		/* Who is late does not catch up in a burst: the rate is an upper bound. */
		int64_t next = start + done * SECOND / rate;
		if (next > now())
			wait_until(next);
		else
			start += now() - next;
	}
	printf("%ld\n", done);
	return 0;
}
