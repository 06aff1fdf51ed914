//! What a program does before its C library starts: executes itself anew from a read-only mount.
//!
//! Starting a static program costs half a millisecond before its first own instruction, most of it
//! cpuid, which leaves a virtual machine each time. A program that must run from a read-only mount
//! (CVE-2019-5736) would pay that twice. So it looks first: the entry point named here, on x86_64,
//! makes seven system calls and falls through to the C library's `_start` in every case but the
//! one in which the new program has taken its place.
//!
//! Who we are: the process as execve(2) made it: one thread, no thread pointer, no relocations
//! applied, nothing on the stack but what the kernel put there. So this calls nothing and touches
//! no memory but the stack. It decides nothing for good either: whoever needs to be out of reach
//! checks that again later.

/// Makes `entry` the program's entry point when its build passes `-e berth_early_start` to the
/// linker. Call it anywhere: it only keeps the symbol linked.
#[cfg(target_arch = "x86_64")]
pub fn link_early_start() {
    unsafe extern "C" {
        static berth_early_start: u8;
    }
    std::hint::black_box(&raw const berth_early_start);
}

/// There is none on this architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn link_early_start() {}

// Registers: r12 argc, r13 argv, r14 envp, r15 the descriptor at hand. The kernel starts us with
// rsp at argc (System V ABI for x86_64, "Process Initialization") and rdx at 0.
//
// Which command: an argument that is exactly `run`, `create` or `exec`. One that is meant as a
// name costs an execution more, and no harm. Reads up to 8 bytes at each argument: behind the last
// string the kernel puts the program's name and 8 bytes of 0.
//
// Numbers: openat2 is not needed, open 2, close 3, fcntl 72, fstatfs 138, execveat 322,
// open_tree 428, mount_setattr 442 (the kernel's syscall_64.tbl).
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    r#"
    .section .text.berth_early_start,"ax",@progbits
    .globl berth_early_start
    .hidden berth_early_start
    .type berth_early_start,@function
berth_early_start:
    mov r12, [rsp]
    lea r13, [rsp + 8]
    lea r14, [r13 + r12*8 + 8]

    lea rbx, [r13 + 8]
2:  mov rsi, [rbx]
    test rsi, rsi
    jz 9f
    add rbx, 8
    mov rax, [rsi]
    cmp eax, {RUN}
    je 3f
    mov rcx, rax
    shl rcx, 24
    mov rdi, {EXEC}
    cmp rcx, rdi
    je 3f
    shl rax, 8
    mov rdi, {CREATE}
    cmp rax, rdi
    jne 2b

3:  lea rdi, [rip + 7f]
    mov esi, {O_CLOEXEC}
    mov eax, 2
    syscall
    test eax, eax
    js 9f
    mov r15d, eax
    call 6f
    jnz 8f
    mov edi, r15d
    mov esi, {F_GET_SEALS}
    mov eax, 72
    syscall
    test eax, eax
    js 4f
    test al, {F_SEAL_WRITE}
    jnz 8f
4:  mov edi, r15d
    mov eax, 3
    syscall

    mov edi, {AT_FDCWD}
    lea rsi, [rip + 7f]
    mov edx, {OPEN_TREE}
    mov eax, 428
    syscall
    test eax, eax
    js 9f
    mov r15d, eax
    push 0
    push 0
    push 0
    push {MOUNT_ATTR_RDONLY}
    mov edi, r15d
    lea rsi, [rip + 5f]
    mov edx, {AT_EMPTY_PATH}
    mov r10, rsp
    mov r8d, 32
    mov eax, 442
    syscall
    add rsp, 32
    test eax, eax
    jnz 8f
    call 6f
    jz 8f
    mov edi, r15d
    lea rsi, [rip + 5f]
    mov rdx, r13
    mov r10, r14
    mov r8d, {AT_EMPTY_PATH}
    mov eax, 322
    syscall

8:  mov edi, r15d
    mov eax, 3
    syscall
9:  xor edx, edx
    jmp _start

    // Whether the mount behind r15 is read-only: ZF clear if so. struct statfs has 120 bytes,
    // f_flags at 80.
6:  sub rsp, 120
    mov edi, r15d
    mov rsi, rsp
    mov qword ptr [rsp + 80], 0
    mov eax, 138
    syscall
    mov rax, [rsp + 80]
    add rsp, 120
    test al, {ST_RDONLY}
    ret

7:  .asciz "/proc/self/exe"
5:  .byte 0
    .size berth_early_start, . - berth_early_start
    .text
"#,
    // The bytes of the words, the terminating 0 included, as numbers.
    RUN = const u32::from_le_bytes(*b"run\0"),
    EXEC = const u64::from_le_bytes(*b"\0\0\0exec\0"),
    CREATE = const u64::from_le_bytes(*b"\0create\0"),
    O_CLOEXEC = const libc::O_CLOEXEC,
    F_GET_SEALS = const libc::F_GET_SEALS,
    F_SEAL_WRITE = const libc::F_SEAL_WRITE,
    AT_FDCWD = const libc::AT_FDCWD,
    OPEN_TREE = const (libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC),
    AT_EMPTY_PATH = const libc::AT_EMPTY_PATH,
    MOUNT_ATTR_RDONLY = const libc::MOUNT_ATTR_RDONLY,
    ST_RDONLY = const libc::ST_RDONLY,
);
