/* What the simulated libascendcl.so exports besides ACL: for the simulated kernels plugin, for the
 * other simulated libraries, and for tests (test/twin/control). Plain C. */
#ifndef LATTE_TWIN_API_H
#define LATTE_TWIN_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- For whoever gives a stream work ---- */

/* Queues run(argument) on a stream (an aclrtStream of a live stream), counted as one launch of
 * `name`. `release` (may be null) is called once: after run, or instead of it where the stream is
 * dead, or before a failed call returns. `pointers` are the device pointers that the work uses:
 * each must point into live memory of the stream's device, now and until the work has run; null
 * ones are skipped. Returns 0 or an ACL error. */
int latte_twin_launch(void* stream, const char* name, void (*run)(void* argument), void* argument,
                      void (*release)(void* argument), const void* const* pointers,
                      size_t pointer_count);

/* Whether a stream was destroyed. */
int latte_twin_stream_is_gone(void* stream);

/* The index of a stream's device; -1 if there is no such stream. */
int latte_twin_stream_device(void* stream);

/* Inside a work: where `bytes` bytes at a device pointer really are. Device pointers themselves
 * cannot be dereferenced. Null, with a violation and a failed work, where any of these bytes is not
 * in one live allocation of the stream's device. */
void* latte_twin_translate(const void* pointer, size_t bytes);

/* Of a kernel on a device: it reads, or writes, `rows` runs of `bytes` bytes, `stride` bytes apart.
 * Counted as 'bytes moved', and past the model of L2. */
void latte_twin_moved(int device, const void* pointer, size_t bytes, size_t rows, size_t stride,
                      int written);

/* Bytes from a device pointer to the end of its allocation; 0 where it points into none. */
size_t latte_twin_bytes_from(const void* pointer);

/* Inside a work: it fails with an ACL error, which surfaces when the stream is synchronised. The
 * first failure counts. */
void latte_twin_fail(int code);

/* Records a violation, printf style: the message goes to stderr and to the report. */
void latte_twin_violation(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* ---- For tests ---- */

/* Every violation so far. Those that are taken were meant: they do not count at the process' end.
 */
void latte_twin_each_violation(void (*each)(void* argument, const char* words), void* argument);
void latte_twin_take_violations(void (*each)(void* argument, const char* words), void* argument);

void latte_twin_each_counter(void (*each)(void* argument, const char* name, int64_t value),
                             void* argument);
void latte_twin_reset_counters(void);

/* As an asynchronous `code`: the task does not end before latte_twin_clear_faults(), and then fails
 * with 507014. */
#define LATTE_TWIN_HANGS (-1)
/* The nth call from now on of a function, or of 'launch', 'copy', 'synchronise', 'allocate', fails
 * with `code`; asynchronous: what it puts on the stream does. device -1: any. */
void latte_twin_inject(const char* call, int64_t nth, int code, int device, int asynchronous);
/* Takes back faults and losses, and ends tasks that hang; gives the number of faults that had not
 * come to pass. */
int latte_twin_clear_faults(void);
void latte_twin_lose_device(int device);
/* 0: aclrtSetStreamFailureMode returns 207000 from now on, as where a device's firmware is older
 * than the function. So does LATTE_TWIN_STOP_MODE=0 for the whole process. */
void latte_twin_support_stop_mode(int supported);
/* Overwrites all device memory. */
void latte_twin_lose_memory(int device);
/* The memory of each device. */
void latte_twin_set_memory(size_t bytes);
int latte_twin_device_count(void);

#ifdef __cplusplus
}
#endif

#endif
