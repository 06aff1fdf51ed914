/*
 * The floor: what the kernel alone charges for starting and ending one container.
 *
 *     floor host PROGRAM [ARG...]    root: the host's /usr, /etc and /opt below throwaway layers
 *     floor DIR PROGRAM [ARG...]     root: the directory, bind-mounted
 *     floor spec DIR PROGRAM...      the same, with what runc's default spec asks for besides
 *
 * One clone3(2) with the namespaces of a default container (user excepted), its mounts, a cgroup in
 * every v1 hierarchy (or in the v2 hierarchy where there is none), pivot_root(2), execve(2), wait,
 * and the removal of the cgroups. No capabilities, no seccomp, no masked paths, no state, no logs:
 * a container engine does all this and more, so its time is measured in multiples of this one.
 *
 * `spec` adds what a runtime cannot leave out of runc's default spec: device rules, its cgroups
 * mounted inside, masked and read-only paths, a read-only root, loopback up, keyring, session,
 * host name, a limit, capabilities, no_new_privs; and that it executes itself from a read-only
 * mount (CVE-2019-5736). Still no spec is read, nothing checked, no state kept.
 *
 * Built by `cargo xtask bench`. Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> of Debian 12 exclude each other. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
#define MNT_DETACH 2

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

/* A clone of what is at `from` below `at`, with attributes, mounted on `onto`. */
static void clone_onto(int at, const char *from, unsigned flags, uint64_t attributes,
		       const char *onto)
{
	struct mount_attr set = { .attr_set = attributes };
	int target = open(onto, O_PATH | O_CLOEXEC), tree;
	if (target < 0)
		return;
	tree = syscall(SYS_open_tree, at, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	if (tree < 0 ||
	    (attributes && syscall(SYS_mount_setattr, tree, "", flags | AT_EMPTY_PATH, &set,
				   sizeof set)) ||
	    syscall(SYS_move_mount, tree, "", target, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		die("mount on", onto);
	close(tree);
	close(target);
}

/* Child. The container's cgroups below /sys/fs/cgroup, read-only. */
static void mount_cgroups(void)
{
	char path[64];
	mount_at("tmpfs", "sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755");
	for (int i = 0; i < cgroup_count; i++) {
		snprintf(path, sizeof path, "sys/fs/cgroup/%d", i);
		folder(path);
		clone_onto(AT_FDCWD, cgroups[i], 0,
			   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				   MOUNT_ATTR_NOEXEC,
			   path);
	}
}

/* Child. The masked and the read-only paths of the default spec. */
static void hide(void)
{
	static const char *const folders[] = { "proc/acpi", "sys/firmware", "proc/scsi" };
	static const char *const files[] = { "proc/asound", "proc/kcore", "proc/keys",
					     "proc/latency_stats", "proc/timer_list",
					     "proc/timer_stats", "proc/sched_debug" };
	static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys",
						 "proc/sysrq-trigger" };
	folder("/mnt/empty");
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		clone_onto(AT_FDCWD, "/mnt/empty", 0, MOUNT_ATTR_RDONLY, folders[i]);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		clone_onto(AT_FDCWD, "/dev/null", 0, 0, files[i]);
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
		clone_onto(AT_FDCWD, read_only[i], AT_RECURSIVE, MOUNT_ATTR_RDONLY, read_only[i]);
}

/* Child. Loopback, session, keyring, host name. */
static void settle(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (file < 0 || ioctl(file, SIOCSIFFLAGS, &request))
		die("set up", "lo");
	close(file);
	if (setsid() < 0 || syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
	    sethostname("runc", 4))
		die("settle", "init");
}

/* Child, after the pivot. A read-only root, a limit, and three capabilities. */
static void give_up_privilege(void)
{
	const uint32_t kept = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { .effective = kept, .permitted = kept } };
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	struct rlimit limit = { 1024, 1024 };
	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &read_only, sizeof read_only) ||
	    setrlimit(RLIMIT_NOFILE, &limit) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("confine", "init");
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (capability >= 32 || !(kept >> capability & 1))
			prctl(PR_CAPBSET_DROP, capability);
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0) || syscall(SYS_capset, &header, sets))
		die("drop capabilities of", "init");
}

/* The device rules of the default spec, where there is a v1 controller for them. */
static void write_device_rules(void)
{
	static const char *const allowed[] = { "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm",
					       "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
					       "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm" };
	char path[320];
	for (int i = 0; i < cgroup_count; i++) {
		if (!strstr(cgroups[i], "/devices/"))
			continue;
		snprintf(path, sizeof path, "%.255s/devices.deny", cgroups[i]);
		int file = open(path, O_WRONLY | O_CLOEXEC);
		if (file < 0 || write(file, "a", 1) != 1)
			die("write", path);
		close(file);
		snprintf(path, sizeof path, "%.255s/devices.allow", cgroups[i]);
		file = open(path, O_WRONLY | O_CLOEXEC);
		for (size_t j = 0; j < sizeof allowed / sizeof *allowed; j++)
			if (write(file, allowed[j], strlen(allowed[j])) < 0)
				die("write", path);
		close(file);
	}
}

/* Executes this program anew from a read-only mount, unless it runs from one. */
static void get_out_of_reach(char **words)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	struct statvfs place;
	if (statvfs("/proc/self/exe", &place) == 0 && (place.f_flag & ST_RDONLY))
		return;
	int tree = syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe",
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &read_only,
				sizeof read_only))
		die("clone the mount of", words[0]);
	syscall(SYS_execveat, tree, "", words, environ, AT_EMPTY_PATH);
	die("execute anew", words[0]);
}

/* Child, in the new namespaces, with every capability. */
static void run(const char *root, char **command, int by_spec)
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
	if (by_spec) {
		mount_cgroups();
		hide();
		settle();
	}
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		die("pivot_root", BASE);
	if (by_spec)
		give_up_privilege();
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
	int by_spec = count > 1 && !strcmp(words[1], "spec");
	if (count < 3 + by_spec) {
		fprintf(stderr, "usage: floor host|[spec] DIR PROGRAM [ARG...]\n");
		return 125;
	}
	if (by_spec)
		get_out_of_reach(words);
	words += by_spec;
	find_cgroups();
	make_cgroups();
	if (by_spec)
		write_device_rules();
	pid_t child = syscall(SYS_clone3, &args, sizeof args);
	if (child < 0)
		die("clone3", "child");
	if (child == 0)
		run(words[1], words + 2, by_spec);
	if (waitpid(child, &status, 0) < 0)
		die("wait for", "child");
	remove_cgroups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
