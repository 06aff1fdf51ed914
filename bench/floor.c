/*
 * The floor: what the kernel alone charges for starting and ending one container.
 *
 *     floor host PROGRAM [ARG...]    root: the host's /usr, /etc and /opt below throwaway layers
 *     floor DIR PROGRAM [ARG...]     root: the directory, bind-mounted
 *
 * One clone3(2) with the namespaces of a default container (user excepted), its mounts, a cgroup in
 * every v1 hierarchy (or in the v2 hierarchy where there is none), pivot_root(2), execve(2), wait,
 * and the removal of the cgroups. No capabilities, no seccomp, no masked paths, no state, no logs:
 * a container engine does all this and more, so its time is measured in multiples of this one.
 *
 * Built by `cargo xtask bench`. Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS_MAX 32
#define BASE "/mnt/base"

extern char **environ;

static char cgroups[CGROUPS_MAX][256];
static int cgroup_count;

static void die(const char *what, const char *object)
{
	fprintf(stderr, "floor: %s %s: %s\n", what, object, strerror(errno));
	exit(125);
}

/* The mount points of all v1 hierarchies, or of the v2 hierarchy when there is none. */
static void find_cgroups(void)
{
	char line[1024], v2[256] = "", point[256], kind[64];
	FILE *file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		die("open", "/proc/self/mountinfo");
	while (fgets(line, sizeof line, file)) {
		char *separator = strstr(line, " - ");
		if (!separator || sscanf(separator, " - %63s", kind) != 1 ||
		    sscanf(line, "%*s %*s %*s %*s %200s", point) != 1)
			continue;
		if (!strcmp(kind, "cgroup") && cgroup_count < CGROUPS_MAX)
			snprintf(cgroups[cgroup_count++], sizeof cgroups[0], "%.200s/floor-%d",
				 point, getpid());
		else if (!strcmp(kind, "cgroup2"))
			snprintf(v2, sizeof v2, "%.200s/floor-%d", point, getpid());
	}
	fclose(file);
	if (cgroup_count == 0 && v2[0])
		strcpy(cgroups[cgroup_count++], v2);
}

/* A new cpuset has no processors, and takes no process before it is given some. */
static void copy_from_parent(const char *cgroup, const char *name)
{
	char path[320], value[256];
	int file;
	ssize_t size;
	snprintf(path, sizeof path, "%s/../%s", cgroup, name);
	if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return;
	size = read(file, value, sizeof value);
	close(file);
	snprintf(path, sizeof path, "%s/%s", cgroup, name);
	if ((file = open(path, O_WRONLY | O_CLOEXEC)) < 0 || write(file, value, size) != size)
		die("write", path);
	close(file);
}

static void make_cgroups(void)
{
	for (int i = 0; i < cgroup_count; i++) {
		if (mkdir(cgroups[i], 0755))
			die("mkdir", cgroups[i]);
		if (strstr(cgroups[i], "/cpuset/")) {
			copy_from_parent(cgroups[i], "cpuset.cpus");
			copy_from_parent(cgroups[i], "cpuset.mems");
		}
	}
}

static void remove_cgroups(void)
{
	for (int i = 0; i < cgroup_count; i++)
		if (rmdir(cgroups[i]))
			die("rmdir", cgroups[i]);
}

/* Child. v1 takes a thread by `tasks`, v2 a process by `cgroup.procs`. */
static void join_cgroups(void)
{
	char path[320];
	for (int i = 0; i < cgroup_count; i++) {
		snprintf(path, sizeof path, "%.255s/tasks", cgroups[i]);
		int file = open(path, O_WRONLY | O_CLOEXEC);
		if (file < 0) {
			snprintf(path, sizeof path, "%.255s/cgroup.procs", cgroups[i]);
			file = open(path, O_WRONLY | O_CLOEXEC);
		}
		if (file < 0 || write(file, "0", 1) != 1)
			die("join", path);
		close(file);
	}
}

static void mount_at(const char *kind, const char *target, unsigned long flags, const char *options)
{
	if (mount(kind, target, kind, flags, options))
		die("mount", target);
}

static void folder(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir", path);
}

/* Child. /dev with the devices that every container has, relative to the working directory. */
static void make_dev(void)
{
	static const struct { const char *path; int major, minor; } devices[] = {
		{ "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	mount_at("tmpfs", "dev", MS_NOSUID, "mode=755,size=65536k");
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		if (mknod(devices[i].path, S_IFCHR | 0666,
			  makedev(devices[i].major, devices[i].minor)))
			die("mknod", devices[i].path);
	folder("dev/pts");
	folder("dev/shm");
	folder("dev/mqueue");
	if (symlink("/proc/self/fd", "dev/fd") || symlink("pts/ptmx", "dev/ptmx") ||
	    symlink("/proc/self/fd/0", "dev/stdin") || symlink("/proc/self/fd/1", "dev/stdout") ||
	    symlink("/proc/self/fd/2", "dev/stderr"))
		die("symlink", "dev");
	mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620");
	mount_at("tmpfs", "dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k");
	mount_at("mqueue", "dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* Child. The built-in `host` image: a base in memory and an overlay for each of three trees. */
static void host_base(void)
{
	static const char *const trees[] = { "usr", "etc", "opt" };
	static const char *const folders[] = { "home", "root", "var", "run", "tmp" };
	static const char *const links[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	char options[256], path[64], target[64];

	mount_at("tmpfs", "/mnt", 0, "mode=755");
	folder(BASE);
	mount_at("tmpfs", BASE, 0, "mode=755");
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, BASE "/%s", folders[i]);
		folder(path);
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(path, sizeof path, "/%s", links[i]);
		ssize_t size = readlink(path, target, sizeof target - 1);
		if (size < 0)
			continue;
		target[size] = 0;
		snprintf(path, sizeof path, BASE "/%s", links[i]);
		if (symlink(target, path))
			die("symlink", path);
	}
	for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
		snprintf(path, sizeof path, "/mnt/%s-upper", trees[i]);
		folder(path);
		snprintf(path, sizeof path, "/mnt/%s-work", trees[i]);
		folder(path);
		snprintf(path, sizeof path, BASE "/%s", trees[i]);
		folder(path);
		snprintf(options, sizeof options,
			 "lowerdir=/%s,upperdir=/mnt/%s-upper,workdir=/mnt/%s-work", trees[i],
			 trees[i], trees[i]);
		mount_at("overlay", path, 0, options);
	}
}

/* Child. A directory as it is. */
static void directory_base(const char *directory)
{
	mount_at("tmpfs", "/mnt", 0, "mode=755");
	folder(BASE);
	if (mount(directory, BASE, NULL, MS_BIND, NULL))
		die("bind", directory);
}

/* Child, in the new namespaces, with every capability. */
static void run(const char *root, char **command)
{
	join_cgroups();
	if (unshare(CLONE_NEWCGROUP))
		die("unshare", "cgroup namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make private", "/");
	if (strcmp(root, "host"))
		directory_base(root);
	else
		host_base();
	if (chdir(BASE))
		die("chdir", BASE);
	folder("proc");
	folder("sys");
	folder("dev");
	mount_at("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	make_dev();
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		die("pivot_root", BASE);
	execve(command[0], command, environ);
	die("execve", command[0]);
}

int main(int count, char **words)
{
	int pidfd = -1, status;
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			 CLONE_NEWTIME | CLONE_PIDFD,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	if (count < 3) {
		fprintf(stderr, "usage: floor host|DIR PROGRAM [ARG...]\n");
		return 125;
	}
	find_cgroups();
	make_cgroups();
	pid_t child = syscall(SYS_clone3, &args, sizeof args);
	if (child < 0)
		die("clone3", "child");
	if (child == 0)
		run(words[1], words + 2);
	if (waitpid(child, &status, 0) < 0)
		die("wait for", "child");
	remove_cgroups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
