// A plugin for qemu's emulation of a user's program: counts the instructions that the program
// executes between two marks. count_instructions.cc makes the marks: writes to a file descriptor
// that cannot be open, of which the number of bytes names the case.
//
// The prototypes are those of qemu's documented plugin interface, as much of it as is used here.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#ifndef QEMU_PLUGIN_VERSION
#define QEMU_PLUGIN_VERSION 1
#endif

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t,
                                                              struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* block,
                                          void (*executed)(unsigned, void*), int flags,
                                          void* user_data);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id,
                                          void (*called)(qemu_plugin_id_t, unsigned, int64_t,
                                                         uint64_t, uint64_t, uint64_t, uint64_t,
                                                         uint64_t, uint64_t, uint64_t, uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);

__attribute__((visibility("default"))) int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum { kWriteSystemCall = 64, kMarkDescriptor = 1000000 };

static uint64_t instructions;

static void executed(unsigned processor, void* count) {
  (void)processor;
  instructions += (uintptr_t)count;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void*)(uintptr_t)count);
}

static void called(qemu_plugin_id_t id, unsigned processor, int64_t number, uint64_t descriptor,
                   uint64_t bytes, uint64_t size, uint64_t a4, uint64_t a5, uint64_t a6,
                   uint64_t a7, uint64_t a8) {
  (void)id, (void)processor, (void)bytes, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
  if (number != kWriteSystemCall || descriptor != kMarkDescriptor) return;
  // The case that ends here; 0 bytes: one begins.
  if (size > 0) fprintf(stderr, "%" PRIu64 " %" PRIu64 "\n", size, instructions);
  instructions = 0;
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const struct qemu_info* info,
                                                               int count, char** arguments) {
  (void)info, (void)count, (void)arguments;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  return 0;
}
