/* What the simulated libascendcl.so exports besides ACL: for the simulated kernels plugin, for the
 * other simulated libraries, and for tests (test/twin/control). Plain C. */
#ifndef LATTE_TWIN_API_H
#define LATTE_TWIN_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- For code that puts work on a stream ---- */

/* Queues run(argument) on a stream (an aclrtStream of a live stream), counted as one launch of
 * `name`. `release` (may be null) is called once: after run, instead of it if the stream stops
 * first, or before a failed call returns. `pointers` are the device pointers that the work uses;
 * null ones are skipped. Each must point into live memory of the stream's device, now and until the
 * work has run. Returns 0 or an ACL error. */
int latte_twin_launch(void* stream, const char* name, void (*run)(void* argument), void* argument,
                      void (*release)(void* argument), const void* const* pointers,
                      size_t pointer_count);

/* Whether a stream was destroyed. */
int latte_twin_stream_is_gone(void* stream);

/* The index of a stream's device; -1 if there is no such stream. */
int latte_twin_stream_device(void* stream);

/* Inside a work: returns the host address of `bytes` bytes at a device pointer, which itself cannot
 * be dereferenced. Returns null, reports a violation and fails the work if any of these bytes is
 * outside of one live allocation of the stream's device. */
void* latte_twin_translate(const void* pointer, size_t bytes);

/* For a kernel on a device: it reads, or writes, `rows` runs of `bytes` bytes, `stride` bytes
 * apart. Counted as 'bytes moved', and in the model of L2. */
void latte_twin_moved(int device, const void* pointer, size_t bytes, size_t rows, size_t stride,
                      int written);

/* Bytes from a device pointer to the end of its allocation; 0 if it points into none. */
size_t latte_twin_bytes_from(const void* pointer);

/* Inside a work: lets it fail with an ACL error, which synchronising the stream returns. The first
 * failure counts. */
void latte_twin_fail(int code);

/* Records a violation, printf style: the message goes to stderr and to the report. */
void latte_twin_violation(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* ---- For tests ---- */

/* Both call `each` for every violation so far. The second also removes them, so that they do not
 * fail the process when it ends. */
void latte_twin_each_violation(void (*each)(void* argument, const char* words), void* argument);
void latte_twin_take_violations(void (*each)(void* argument, const char* words), void* argument);

void latte_twin_each_counter(void (*each)(void* argument, const char* name, int64_t value),
                             void* argument);
void latte_twin_reset_counters(void);

/* As an asynchronous `code`: the task hangs until latte_twin_clear_faults(), and then fails with
 * 507014. */
#define LATTE_TWIN_HANGS (-1)
/* Lets the nth call from now on of a function, or of 'launch', 'copy', 'synchronise' or 'allocate',
 * fail with `code`. If asynchronous, the call succeeds and what it puts on the stream fails. device
 * -1: any. */
void latte_twin_inject(const char* call, int64_t nth, int code, int device, int asynchronous);
/* Removes faults and losses, and ends tasks that hang. Returns the number of faults that had not
 * occurred. */
int latte_twin_clear_faults(void);
void latte_twin_lose_device(int device);
/* 0: from now on aclrtSetStreamFailureMode returns 207000, as with firmware that is older than the
 * function. LATTE_TWIN_STOP_MODE=0 does so for the whole process. */
void latte_twin_support_stop_mode(int supported);
/* Overwrites all device memory. */
void latte_twin_lose_memory(int device);
/* Sets the memory of each device, in bytes. */
void latte_twin_set_memory(size_t bytes);
int latte_twin_device_count(void);

#ifdef __cplusplus
}
#endif

#endif
